//! Query parameters. A parameter that is not known is refused: a misspelt filter must not select more than was meant.

use std::{borrow::Cow, str::FromStr};

use percent_encoding::percent_decode_str;
use serde::{
    Deserialize,
    de::{
        IntoDeserializer,
        value::{Error as ValueError, StrDeserializer},
    },
};
use workflow::client::{RunFilter, RunState};

use super::{refusal::Refusal, token};

/// The decoded parameters of a query, in their order.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<Parameter>);

#[derive(Debug)]
struct Parameter {
    name: String,
    /// The value in the parts that commas made of it. A comma within a part was escaped.
    parts: Vec<String>,
}

impl Query {
    pub(super) fn parse(raw: &str) -> Result<Self, Refusal> {
        let mut parameters = Vec::new();
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name)?;
            let parts = value.split(',').map(decode).collect::<Result<_, _>>()?;
            if name != token::PARAMETER {
                parameters.push(Parameter { name, parts });
            }
        }
        Ok(Self(parameters))
    }

    /// Adds a parameter that came by another way.
    pub(super) fn push(&mut self, name: &str, value: String) {
        self.0.push(Parameter { name: name.to_owned(), parts: vec![value] });
    }

    /// Forgets a parameter that has no value.
    pub(super) fn drop_empty(&mut self, name: &str) {
        self.0.retain(|parameter| {
            parameter.name != name || parameter.parts.iter().any(|part| !part.is_empty())
        });
    }

    /// Refuses parameters other than these.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Refusal> {
        match self.0.iter().find(|parameter| !known.contains(&parameter.name.as_str())) {
            None => Ok(()),
            Some(Parameter { name, .. }) => Err(Refusal::bad_request(format!(
                "the parameter `{name}` is not known here; known are: {}",
                known.join(", ")
            ))),
        }
    }

    /// The one value of a parameter.
    pub(super) fn one(&self, name: &str) -> Result<Option<String>, Refusal> {
        let mut values = self.0.iter().filter(|parameter| parameter.name == name);
        match (values.next(), values.next()) {
            (_, Some(_)) => {
                Err(Refusal::bad_request(format!("the parameter `{name}` is there more than once")))
            }
            (None, None) => Ok(None),
            (Some(parameter), None) => match parameter.parts.join(",") {
                value if value.is_empty() => {
                    Err(Refusal::bad_request(format!("the parameter `{name}` is empty")))
                }
                value => Ok(Some(value)),
            },
        }
    }

    /// The values of a parameter that may be repeated, or list its values with commas.
    pub(super) fn many(&self, name: &str) -> Result<Vec<String>, Refusal> {
        let values =
            self.0.iter().filter(|parameter| parameter.name == name).flat_map(|parameter| &parameter.parts);
        values
            .map(|value| match value.as_str() {
                "" => Err(Refusal::bad_request(format!("the parameter `{name}` has an empty value"))),
                value => Ok(value.to_owned()),
            })
            .collect()
    }

    /// The values of a parameter that may be repeated. A comma belongs to its value.
    fn each(&self, name: &str) -> Result<Vec<String>, Refusal> {
        let values = self.0.iter().filter(|parameter| parameter.name == name);
        values
            .map(|parameter| match parameter.parts.join(",") {
                value if value.is_empty() => {
                    Err(Refusal::bad_request(format!("the parameter `{name}` has an empty value")))
                }
                value => Ok(value),
            })
            .collect()
    }

    pub(super) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, Refusal> {
        self.one(name)?
            .map(|value| {
                value.parse().map_err(|_| {
                    Refusal::bad_request(format!(
                        "the parameter `{name}` must be a whole number, not `{value}`"
                    ))
                })
            })
            .transpose()
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.one(name)?.as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(value) => Err(Refusal::bad_request(format!(
                "the parameter `{name}` must be `true` or `false`, not `{value}`"
            ))),
        }
    }

    /// The filter that the parameters describe. `ids` is the name of the parameter with run ids.
    pub(super) fn filter(&self, ids: &str, exact_url: bool) -> Result<RunFilter, Refusal> {
        let states = self.many("state")?.iter().map(|state| state_of(state)).collect::<Result<_, _>>()?;
        Ok(RunFilter {
            run_ids: self.many(ids)?,
            runs: self.many("workflowRuns")?.iter().map(|run| incarnation(run)).collect::<Result<_, _>>()?,
            workflow_urls: self.each("workflowUrl")?,
            exact_url: self.flag("workflowUrlExactMatch")?.unwrap_or(exact_url),
            hosts: self.many("host")?,
            paths: self.each("path")?,
            labels: self.many("label")?,
            flow_control_keys: self.many("flowControlKey")?,
            caller_ips: self.many("callerIp")?,
            message_ids: self.many("messageId")?,
            states,
            from: self.number("fromDate")?,
            to: self.number("toDate")?,
            created_at: self.number("workflowCreatedAt")?,
        })
    }
}

/// A run that is named by its id and when it was created: `wfr_1@1700000000000`.
fn incarnation(run: &str) -> Result<(String, i64), Refusal> {
    run.rsplit_once('@').and_then(|(id, at)| Some((id.to_owned(), at.parse().ok()?))).ok_or_else(|| {
        Refusal::bad_request(format!(
            "`{run}` names no run; write its id, `@`, and when it was created in milliseconds"
        ))
    })
}

fn decode(text: &str) -> Result<String, Refusal> {
    percent_decode_str(&text.replace('+', " "))
        .decode_utf8()
        .map(Cow::into_owned)
        .map_err(|_| Refusal::bad_request("the query is not UTF-8 when it is decoded"))
}

fn state_of(text: &str) -> Result<RunState, Refusal> {
    let state: StrDeserializer<'_, ValueError> = text.into_deserializer();
    RunState::deserialize(state).map_err(|_| {
        let known = [RunState::RunStarted, RunState::RunSuccess, RunState::RunFailed, RunState::RunCanceled];
        Refusal::bad_request(format!(
            "`{text}` is no state; there are {}",
            known.map(RunState::as_str).join(", ")
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_repeated_or_have_commas() {
        let query = Query::parse("label=a&label=b,c&other=%2C+x").unwrap();
        assert_eq!(query.many("label").unwrap(), ["a", "b", "c"]);
        assert_eq!(query.many("other").unwrap(), [", x"]);
        assert!(query.many("none").unwrap().is_empty());
        assert!(Query::parse("label=a,").unwrap().many("label").is_err());
    }

    #[test]
    fn a_single_value_may_hold_commas_but_not_be_repeated() {
        let query = Query::parse("workflowUrl=http://a/b,c&x=1&x=2&empty=").unwrap();
        assert_eq!(query.one("workflowUrl").unwrap().as_deref(), Some("http://a/b,c"));
        assert!(query.one("x").is_err());
        assert!(query.one("empty").is_err());
    }

    #[test]
    fn numbers_flags_and_states_are_checked() {
        let query = Query::parse("n=12&f=true&state=RUN_FAILED&bad=x").unwrap();
        assert_eq!(query.number::<i64>("n").unwrap(), Some(12));
        assert!(query.number::<i64>("bad").is_err());
        assert_eq!(query.flag("f").unwrap(), Some(true));
        assert!(query.flag("bad").is_err());
        assert_eq!(query.filter("ids", true).unwrap().states, [RunState::RunFailed]);
        assert!(Query::parse("state=DONE").unwrap().filter("ids", true).is_err());
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let query = Query::parse("label=a&lable=b&qstash_token=t").unwrap();
        assert!(query.only(&["label", "lable"]).is_ok());
        assert!(query.only(&["label"]).is_err());
        assert!(Query::parse("%ff=1").is_err());
    }
}
