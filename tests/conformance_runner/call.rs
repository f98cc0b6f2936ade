//! A step's arguments, and the objects of the steps before.

use std::any::Any;
use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// What steps have put away, by name.
pub type Objects = BTreeMap<String, Box<dyn Any>>;

/// Why a verb gave nothing.
#[derive(Debug)]
pub enum Failure {
    /// The library refused, which the scenario may want.
    Volary(volary::Error),
    /// The scenario is wrong.
    Scenario(String),
}

impl From<volary::Error> for Failure {
    fn from(error: volary::Error) -> Self {
        Self::Volary(error)
    }
}

/// What a verb gave.
#[derive(Default)]
pub struct Done {
    pub result: Value,
    pub object: Option<Box<dyn Any>>,
}

impl Done {
    pub fn result(result: impl Serialize) -> Result<Self, Failure> {
        let result = serde_json::to_value(result).map_err(|error| Failure::Scenario(error.to_string()))?;
        Ok(Self { result, object: None })
    }

    pub fn object<T: Any>(object: T) -> Result<Self, Failure> {
        Ok(Self { result: Value::Null, object: Some(Box::new(object)) })
    }

    pub fn with_object<T: Any>(self, object: T) -> Result<Self, Failure> {
        Ok(Self { object: Some(Box::new(object)), ..self })
    }

    pub fn put_away(self, name: Option<&str>, objects: &mut Objects) -> Result<(), String> {
        match (name, self.object) {
            (Some(name), Some(object)) => {
                objects.insert(name.to_string(), object);
                Ok(())
            }
            (Some(name), None) => Err(format!("keeps nothing that {name:?} could name")),
            (None, _) => Ok(()),
        }
    }
}

/// Arguments are taken out one by one; one that is left at the end is a mistake in the scenario.
pub struct Call<'a> {
    with: Map<String, Value>,
    objects: &'a mut Objects,
    /// Whether the step puts away what the verb keeps.
    pub saves: bool,
}

impl<'a> Call<'a> {
    pub fn new(with: Map<String, Value>, saves: bool, objects: &'a mut Objects) -> Self {
        Self { with, objects, saves }
    }

    /// An argument that may be left out, or be null.
    pub fn optional<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, Failure> {
        let value = self.with.remove(name).filter(|value| !value.is_null());
        let read = |value| serde_json::from_value(value).map_err(|error| mistake(name, error));
        value.map(read).transpose()
    }

    pub fn required<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, Failure> {
        self.optional(name)?.ok_or_else(|| Failure::Scenario(format!("lacks {name}")))
    }

    pub fn or<T: DeserializeOwned>(&mut self, name: &str, default: T) -> Result<T, Failure> {
        Ok(self.optional(name)?.unwrap_or(default))
    }

    /// A number as other languages give it: with 64 bits.
    pub fn float(&mut self, name: &str) -> Result<Option<f32>, Failure> {
        Ok(self.optional::<f64>(name)?.map(|number| number as f32))
    }

    /// An object of an earlier step.
    pub fn object<T: Any>(&mut self, name: &str) -> Result<&mut T, Failure> {
        let reference: String = self.required(name)?;
        self.named(name, &reference)
    }

    /// A copy of an object of an earlier step, if there is such an argument.
    pub fn optional_object<T: Any + Clone>(&mut self, name: &str) -> Result<Option<T>, Failure> {
        let reference: Option<String> = self.optional(name)?;
        reference.map(|reference| self.named(name, &reference).cloned()).transpose()
    }

    /// The object that `reference` names, for the argument `name`.
    pub fn named<T: Any>(&mut self, name: &str, reference: &str) -> Result<&mut T, Failure> {
        let key = reference.strip_prefix('$').ok_or_else(|| mistake(name, format!("{reference} is no $name")))?;
        let object = self.objects.get_mut(key);
        let object = object.ok_or_else(|| mistake(name, format!("nothing was put away as {reference}")))?;
        object.downcast_mut().ok_or_else(|| mistake(name, format!("{reference} is another kind of object")))
    }

    pub fn finish(self) -> Result<(), String> {
        match self.with.keys().next() {
            None => Ok(()),
            Some(name) => Err(format!("takes no {name}")),
        }
    }
}

fn mistake(name: &str, what: impl std::fmt::Display) -> Failure {
    Failure::Scenario(format!("{name}: {what}"))
}
