//! Templates of event ids: `order-{order_id}`.

/// A template, taken apart.
pub struct Template {
    pub pieces: Vec<Piece>,
}

/// Text and fields. No two texts are beside each other, and none is empty.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    Field(String),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            push_text(&mut pieces, &rest[..at]);
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix("{{").or_else(|| rest.strip_prefix("}}")) {
                push_text(&mut pieces, &rest[..1]);
                rest = after;
            } else if let Some((name, after)) = rest.strip_prefix('{').and_then(|after| after.split_once('}'))
            {
                pieces.push(Piece::Field(field(name)?));
                rest = after;
            } else if rest.starts_with('{') {
                return Err(
                    "a `{` is not closed: write the field's name and `}`, or `{{` for the brace itself"
                        .to_owned(),
                );
            } else {
                return Err("a `}` closes nothing: write `}}` for the brace itself".to_owned());
            }
        }
        push_text(&mut pieces, rest);
        if pieces.is_empty() {
            return Err("the id is empty: write what the event is called".to_owned());
        }
        Ok(Self { pieces })
    }

    /// The names of the fields, each once.
    pub fn fields(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for piece in &self.pieces {
            if let Piece::Field(name) = piece
                && !names.contains(&name.as_str())
            {
                names.push(name);
            }
        }
        names
    }

    /// The characters that tell the fields apart, and therefore have to be escaped inside of them: of all that stand between
    /// two fields, those that the escapes do not use.
    ///
    /// # Errors
    ///
    /// If there are none between two fields, so that one id could be that of several values.
    pub fn separators(&self) -> Result<String, String> {
        let mut separators = String::new();
        let mut fields = self.pieces.iter().enumerate().filter_map(|(place, piece)| match piece {
            Piece::Field(name) => Some((place, name)),
            Piece::Text(_) => None,
        });
        let Some(mut before) = fields.next() else { return Ok(separators) };
        for after in fields {
            let between = match self.pieces.get(before.0 + 1) {
                Some(Piece::Text(text)) => text.as_str(),
                _ => "",
            };
            let mut own = between.chars().filter(|character| separates(*character)).peekable();
            if own.peek().is_none() {
                return Err(format!(
                    "different values could make the same id, because nothing tells where `{{{}}}` ends and `{{{}}}` begins: put \
                     a character between them that is no letter and no digit, such as `-`",
                    before.1, after.1
                ));
            }
            for character in own {
                if !separators.contains(character) {
                    separators.push(character);
                }
            }
            before = after;
        }
        Ok(separators)
    }
}

/// Letters and digits are in escapes, and so is the percent sign.
fn separates(character: char) -> bool {
    !character.is_alphanumeric() && character != '%'
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    match pieces.last_mut() {
        _ if text.is_empty() => {}
        Some(Piece::Text(before)) => before.push_str(text),
        _ => pieces.push(Piece::Text(text.to_owned())),
    }
}

fn field(name: &str) -> Result<String, String> {
    let name = name.trim();
    if name.is_empty() {
        return Err("the name of a field is missing between `{` and `}`".to_owned());
    }
    if let Some((name, _)) = name.split_once(':') {
        return Err(format!("ids have no formats: write `{{{}}}`", name.trim_end()));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Piece {
        Piece::Text(text.to_owned())
    }

    fn field(name: &str) -> Piece {
        Piece::Field(name.to_owned())
    }

    fn pieces(template: &str) -> Vec<Piece> {
        Template::parse(template).unwrap().pieces
    }

    #[test]
    fn templates_are_text_and_fields() {
        assert_eq!(pieces("shop-closed"), [text("shop-closed")]);
        assert_eq!(pieces("order-{id}"), [text("order-"), field("id")]);
        assert_eq!(
            pieces("{a}:{ b }/{0}x"),
            [field("a"), text(":"), field("b"), text("/"), field("0"), text("x")]
        );
        assert_eq!(pieces("é{a}é"), [text("é"), field("a"), text("é")]);
        assert_eq!(pieces("{{a}}{{{a}}}"), [text("{a}{"), field("a"), text("}")]);
        assert_eq!(Template::parse("{b}-{a}-{b}").unwrap().fields(), ["b", "a"]);
    }

    #[test]
    fn mistakes_say_what_to_write() {
        for (template, message) in [
            ("", "the id is empty"),
            ("a{", "a `{` is not closed"),
            ("a{b", "a `{` is not closed"),
            ("a}b", "a `}` closes nothing"),
            ("{}", "the name of a field is missing"),
            ("{ }", "the name of a field is missing"),
            ("{a:?}", "write `{a}`"),
        ] {
            let told = Template::parse(template).err().unwrap();
            assert!(told.contains(message), "{template}: {told}");
        }
    }

    #[test]
    fn fields_are_told_apart_by_what_is_no_letter_digit_or_percent_sign() {
        let separators = |template: &str| Template::parse(template).unwrap().separators();
        assert_eq!(separators("-{a}-").as_deref(), Ok(""));
        assert_eq!(separators("{a}-{b}").as_deref(), Ok("-"));
        assert_eq!(separators("/{a}-to-{b}%: {c}/").as_deref(), Ok("-: "));
        for ambiguous in ["{a}{b}", "{a}x{b}", "{a}7{b}", "{a}%{b}", "{a}é{b}", "{a}-{b}{c}"] {
            assert!(separators(ambiguous).is_err(), "{ambiguous}");
        }
    }
}
