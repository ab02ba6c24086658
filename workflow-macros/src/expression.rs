//! Checks expressions for the delay of a retry: arithmetic over `retried`, as engines evaluate it.

const VARIABLE: &str = "retried";

/// Functions, and how many values they take at least and at most.
const FUNCTIONS: &[(&str, usize, usize)] = &[
    ("pow", 2, 2),
    ("sqrt", 1, 1),
    ("abs", 1, 1),
    ("exp", 1, 1),
    ("floor", 1, 1),
    ("ceil", 1, 1),
    ("round", 1, 1),
    ("min", 1, usize::MAX),
    ("max", 1, usize::MAX),
];

/// Checks an expression.
///
/// # Errors
/// What is wrong with it.
pub fn check(expression: &str) -> Result<(), String> {
    let mut reader = Reader { rest: expression };
    reader.sum()?;
    match reader.peek() {
        None => Ok(()),
        Some(_) => Err(reader.surprise()),
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn sum(&mut self) -> Result<(), String> {
        self.term()?;
        while self.skip("+") || self.skip("-") || self.skip("*") || self.skip("/") {
            self.term()?;
        }
        Ok(())
    }

    fn term(&mut self) -> Result<(), String> {
        while self.skip("-") {}
        if self.skip("(") {
            self.sum()?;
            return self.close();
        }
        match self.peek() {
            Some(c) if c.is_ascii_digit() || c == '.' => {
                let number = self.word(|c| c.is_ascii_digit() || c == '.');
                number.parse::<f64>().map(drop).map_err(|_| format!("`{number}` is no number"))
            }
            Some(c) if c.is_alphabetic() || c == '_' => {
                let name = self.word(|c| c.is_alphanumeric() || c == '_');
                if name == VARIABLE { Ok(()) } else { self.function(name) }
            }
            _ => Err(self.surprise()),
        }
    }

    fn function(&mut self, name: &str) -> Result<(), String> {
        let Some((_, least, most)) = FUNCTIONS.iter().find(|(known, ..)| *known == name) else {
            let known: Vec<_> = FUNCTIONS.iter().map(|(known, ..)| format!("`{known}`")).collect();
            return Err(format!("`{name}` is not known; known are `{VARIABLE}` and {}", known.join(", ")));
        };
        if !self.skip("(") {
            return Err(format!("`{name}` needs its values in parentheses"));
        }
        self.sum()?;
        let mut values = 1;
        while self.skip(",") {
            self.sum()?;
            values += 1;
        }
        self.close()?;
        if (*least..=*most).contains(&values) {
            Ok(())
        } else {
            Err(format!("`{name}` takes {least} value{}, not {values}", if *least == 1 { "" } else { "s" }))
        }
    }

    fn close(&mut self) -> Result<(), String> {
        if self.skip(")") { Ok(()) } else { Err(format!("a `)` is missing: {}", self.surprise())) }
    }

    fn surprise(&mut self) -> String {
        match self.peek() {
            Some(c) => format!("`{c}` is out of place"),
            None => "it ends too early".to_owned(),
        }
    }

    /// The next character that is no space.
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start();
        self.rest.chars().next()
    }

    fn skip(&mut self, expected: &str) -> bool {
        self.peek();
        let behind = self.rest.strip_prefix(expected);
        self.rest = behind.unwrap_or(self.rest);
        behind.is_some()
    }

    fn word(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn what_engines_evaluate_is_accepted() {
        for expression in [
            "1000",
            " .5 ",
            "-2 * -3",
            "2--3",
            "(1 + 2) * retried / 4",
            "pow(2, retried) * 1000",
            "max(1, min(7, 5), 3)",
            "min(7)",
            "min(60000, pow(2, pow(2, retried)))",
            "sqrt(16) + abs(-1) + floor(1.9) + ceil(1.1) + round(1.5) + exp(0)",
        ] {
            assert_eq!(check(expression), Ok(()), "{expression}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_reason() {
        for (expression, why) in [
            ("", "ends too early"),
            ("1000 *", "ends too early"),
            ("* 2", "`*`"),
            ("1 2", "`2`"),
            ("(1", "a `)` is missing"),
            ("1)", "`)`"),
            ("1..2", "`1..2` is no number"),
            ("1e3", "`e`"),
            ("10s", "`s`"),
            ("tries * 2", "`tries` is not known; known are `retried` and `pow`"),
            ("Retried", "`Retried`"),
            ("pow(2)", "`pow` takes 2 values, not 1"),
            ("sqrt(1, 2)", "`sqrt` takes 1 value, not 2"),
            ("min()", "`)`"),
            ("pow", "`pow` needs"),
            ("2 € 3", "`€`"),
        ] {
            let reason = check(expression).unwrap_err();
            assert!(reason.contains(why), "{expression}: {reason}");
        }
    }
}
