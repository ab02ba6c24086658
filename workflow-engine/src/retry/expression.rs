//! Arithmetic over `retried`: `+ - * /`, parentheses, and the functions that the protocol names.
//!
//! An expression is evaluated while it is read; it is short, and used once in each of its retries.

/// The only variable.
const VARIABLE: &str = "retried";

/// Evaluates an expression. Division by zero and the like give what floating point numbers give.
///
/// # Errors
/// A sentence that says what is wrong with it. That does not depend on the value of `retried`.
pub fn evaluate(expression: &str, retried: f64) -> Result<f64, String> {
    let mut reader = Reader { rest: expression, retried };
    let value = reader.sum()?;
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.surprise()),
    }
}

struct Reader<'a> {
    rest: &'a str,
    retried: f64,
}

impl<'a> Reader<'a> {
    fn sum(&mut self) -> Result<f64, String> {
        let mut value = self.product()?;
        loop {
            if self.skip('+') {
                value += self.product()?;
            } else if self.skip('-') {
                value -= self.product()?;
            } else {
                return Ok(value);
            }
        }
    }

    fn product(&mut self) -> Result<f64, String> {
        let mut value = self.signed()?;
        loop {
            if self.skip('*') {
                value *= self.signed()?;
            } else if self.skip('/') {
                value /= self.signed()?;
            } else {
                return Ok(value);
            }
        }
    }

    fn signed(&mut self) -> Result<f64, String> {
        if self.skip('-') { Ok(-self.signed()?) } else { self.atom() }
    }

    fn atom(&mut self) -> Result<f64, String> {
        if self.skip('(') {
            let value = self.sum()?;
            return self.close().map(|()| value);
        }
        match self.peek() {
            Some(c) if c.is_ascii_digit() || c == '.' => {
                let number = self.word(|c| c.is_ascii_digit() || c == '.');
                number.parse().map_err(|_| format!("`{number}` is no number"))
            }
            Some(c) if c.is_alphabetic() || c == '_' => {
                let name = self.word(|c| c.is_alphanumeric() || c == '_');
                if name == VARIABLE { Ok(self.retried) } else { self.function(name) }
            }
            _ => Err(self.surprise()),
        }
    }

    fn function(&mut self, name: &str) -> Result<f64, String> {
        let known = ["pow", "sqrt", "abs", "exp", "floor", "ceil", "round", "min", "max"];
        if !known.contains(&name) {
            return Err(format!("it knows no `{name}`"));
        }
        if !self.skip('(') {
            return Err(format!("`{name}` needs its values in parentheses"));
        }
        let mut values = vec![self.sum()?];
        while self.skip(',') {
            values.push(self.sum()?);
        }
        self.close()?;
        match (name, values.as_slice()) {
            ("pow", [base, exponent]) => Ok(base.powf(*exponent)),
            ("sqrt", [value]) => Ok(value.sqrt()),
            ("abs", [value]) => Ok(value.abs()),
            ("exp", [value]) => Ok(value.exp()),
            ("floor", [value]) => Ok(value.floor()),
            ("ceil", [value]) => Ok(value.ceil()),
            ("round", [value]) => Ok(value.round()),
            ("min", [first, others @ ..]) => Ok(others.iter().copied().fold(*first, f64::min)),
            ("max", [first, others @ ..]) => Ok(others.iter().copied().fold(*first, f64::max)),
            _ => Err(format!("`{name}` does not take {} values", values.len())),
        }
    }

    fn close(&mut self) -> Result<(), String> {
        if self.skip(')') { Ok(()) } else { Err(format!("a `)` is missing: {}", self.surprise())) }
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

    fn skip(&mut self, expected: char) -> bool {
        self.peek();
        match self.rest.strip_prefix(expected) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
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
    use super::*;

    #[test]
    fn arithmetic_goes_by_the_usual_rules() {
        for (expression, value) in [
            ("1 + 2 * 3", 7.0),
            ("(1 + 2) * 3", 9.0),
            ("10 - 4 - 3", 3.0),
            ("10 - 4 + 3", 9.0),
            ("24 / 4 / 2", 3.0),
            ("8 / 4 * 2", 4.0),
            ("-2 * -3", 6.0),
            ("2--3", 5.0),
            ("-(1 + 1)", -2.0),
            ("1.5*2", 3.0),
            (" .5 ", 0.5),
            ("retried * retried", 16.0),
        ] {
            assert_eq!(evaluate(expression, 4.0), Ok(value), "{expression}");
        }
    }

    #[test]
    fn functions_may_hold_functions() {
        for (expression, value) in [
            ("pow(2, 10)", 1024.0),
            ("pow(2, pow(2, 3))", 256.0),
            ("max(1, min(7, 5), 3)", 5.0),
            ("min(min(4, 3), max(1, 2)) + 1", 3.0),
            ("sqrt(16) + abs(-1) + floor(1.9) + ceil(1.1) + round(1.5)", 10.0),
            ("exp(0)", 1.0),
            ("min(60, pow(2, retried))", 16.0),
            ("min(7)", 7.0),
        ] {
            assert_eq!(evaluate(expression, 4.0), Ok(value), "{expression}");
        }
    }

    #[test]
    fn what_is_no_expression_is_told_with_the_reason() {
        for (expression, why) in [
            ("", "ends too early"),
            ("1000 *", "ends too early"),
            ("* 2", "`*`"),
            ("1 2", "`2`"),
            ("(1", "a `)` is missing"),
            ("1)", "`)`"),
            ("1..2", "`1..2` is no number"),
            ("1e3", "`e`"),
            ("tries * 2", "`tries`"),
            ("Retried", "`Retried`"),
            ("sleep(1)", "`sleep`"),
            ("pow(2)", "`pow` does not take 1 values"),
            ("sqrt(1, 2)", "`sqrt` does not take 2 values"),
            ("min()", "`)`"),
            ("pow", "`pow` needs"),
            ("größe", "`größe`"),
            ("2 € 3", "`€`"),
        ] {
            let reason = evaluate(expression, 0.0).unwrap_err();
            assert!(reason.contains(why), "{expression}: {reason}");
        }
    }
}
