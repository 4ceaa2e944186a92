//! FHIR's JSON and FHIR's XML, read into one tree of elements and written from it.
//!
//! What is too deep, too large, said twice, or declared by a DTD is refused before anybody looks at what it means.
//! A fault names the place and never what stands there. Which elements have been understood is marked on the tree,
//! so that what nobody understood can be found and kept.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// How deep elements may stand in each other: a message in this shape needs a dozen.
pub const DEPTH_MAX: usize = 32;
/// How many elements a message may have.
pub const ELEMENTS_MAX: usize = 20_000;
/// How many bytes a name may have: FHIR's longest has some forty. Each path is made of them.
const NAME_BYTES_MAX: usize = 64;
/// The namespace of FHIR's XML.
const NAMESPACE: &str = "http://hl7.org/fhir";
/// The elements of ours that are lists, though there be one only: JSON says so, XML does not.
const LISTS: &[&str] = &["entry", "issue", "coding", "expression", "note", "focus", "destination"];

/// In which of its two forms a message comes and goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `application/fhir+json`.
    Json,
    /// `application/fhir+xml`.
    Xml,
}

impl Format {
    /// The media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Json => "application/fhir+json",
            Format::Xml => "application/fhir+xml",
        }
    }
}

/// Why bytes are no tree. Where it is known, the path of the element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoTree {
    /// The element, as a path; empty where there is none yet.
    pub at: String,
    /// What is wrong, to be read after the path.
    pub because: &'static str,
}

/// An element: a value, or further elements, or both.
#[derive(Clone, Debug, Default)]
pub struct Element {
    /// Its name.
    pub name: String,
    /// The type of resource that it is, if it is one.
    pub resource: Option<String>,
    /// Its value.
    pub value: Option<String>,
    /// What stands in it, in order; what is repeated has one name.
    pub children: Vec<Element>,
    taken: Cell<bool>,
}

impl Element {
    /// An element with a value.
    pub fn leaf(name: &str, value: &str) -> Element {
        Element { name: name.to_owned(), value: Some(value.to_owned()), ..Element::default() }
    }

    /// An element with others in it.
    pub fn branch(name: &str, children: Vec<Element>) -> Element {
        Element { name: name.to_owned(), children, ..Element::default() }
    }

    /// A resource.
    pub fn resource(name: &str, kind: &str, children: Vec<Element>) -> Element {
        Element { resource: Some(kind.to_owned()), ..Element::branch(name, children) }
    }

    /// The elements called `name` in it.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first element at the end of `path`, which is written with dots.
    pub fn at(&self, path: &str) -> Option<&Element> {
        path.split('.').try_fold(self, |element, name| element.children.iter().find(|child| child.name == name))
    }

    /// The value at the end of `path`, which thereby counts as understood.
    pub fn take(&self, path: &str) -> Option<&str> {
        let found = self.at(path)?;
        found.taken.set(true);
        found.value.as_deref()
    }

    /// The value at the end of `path`, for whoever only looks.
    pub fn see(&self, path: &str) -> Option<&str> {
        self.at(path)?.value.as_deref()
    }

    /// It, and everything in it, counts as understood.
    pub fn take_all(&self) {
        self.taken.set(true);
        self.children.iter().for_each(Element::take_all);
    }

    /// Whether it counts as understood.
    pub fn is_taken(&self) -> bool {
        self.taken.get()
    }
}

/// Reads `bytes`.
pub fn read(format: Format, bytes: &[u8]) -> Result<Element, NoTree> {
    let text = std::str::from_utf8(bytes).map_err(|_| NoTree { at: String::new(), because: "is not text in UTF-8" })?;
    match format {
        Format::Json => read_json(text),
        Format::Xml => read_xml(text),
    }
}

const TOO_DEEP: &str = "is nested deeper than a message may be";
const TOO_MANY: &str = "has more elements than a message may have";
const LONG_NAME: &str = "has a name that is longer than any of FHIR's";
const TWICE: &str = "says the same element twice, so that nobody could tell which counts";

fn read_json(text: &str) -> Result<Element, NoTree> {
    let count = Cell::new(0);
    let fault = Cell::new(None);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let seed = Json { name: "", depth: 0, count: &count, fault: &fault };
    let read = seed.deserialize(&mut deserializer).and_then(|read| deserializer.end().map(|()| read));
    let because = "is not JSON as FHIR writes it";
    // The cause is dropped on purpose: it quotes what it did not understand.
    let mut read = read.map_err(|_| NoTree { at: String::new(), because: fault.get().unwrap_or(because) })?;
    match (read.pop(), read.is_empty()) {
        (Some(root), true) if root.resource.is_some() => Ok(Element { name: root.resource.clone().unwrap_or_default(), ..root }),
        (Some(_) | None, _) => Err(NoTree { at: String::new(), because: "is not one resource" }),
    }
}

/// Reads one value of JSON as the elements that it is: a list is as many as it has.
struct Json<'a> {
    name: &'a str,
    depth: usize,
    count: &'a Cell<usize>,
    fault: &'a Cell<Option<&'static str>>,
}

impl Json<'_> {
    fn refuse<E: serde::de::Error>(&self, because: &'static str) -> E {
        self.fault.set(Some(because));
        E::custom(because)
    }

    fn leaf<E: serde::de::Error>(self, value: String) -> Result<Vec<Element>, E> {
        self.counted()?;
        Ok(vec![Element { name: self.name.to_owned(), value: Some(value), ..Element::default() }])
    }

    fn counted<E: serde::de::Error>(&self) -> Result<(), E> {
        self.count.set(self.count.get().saturating_add(1));
        if self.count.get() > ELEMENTS_MAX { Err(self.refuse(TOO_MANY)) } else { Ok(()) }
    }

    fn inner<'b>(&'b self, name: &'b str) -> Json<'b> {
        Json { name, depth: self.depth.saturating_add(1), count: self.count, fault: self.fault }
    }
}

impl<'de> DeserializeSeed<'de> for Json<'_> {
    type Value = Vec<Element>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Element>, D::Error> {
        if self.depth > DEPTH_MAX {
            return Err(self.refuse(TOO_DEEP));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Json<'_> {
    type Value = Vec<Element>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an element")
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Vec<Element>, E> {
        self.leaf(value.to_owned())
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Vec<Element>, E> {
        self.leaf(value.to_string())
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Vec<Element>, E> {
        self.leaf(value.to_string())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Vec<Element>, E> {
        self.leaf(value.to_string())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Vec<Element>, E> {
        self.leaf(value.to_string())
    }

    /// FHIR fills gaps in parallel lists with it; it says nothing.
    fn visit_unit<E: serde::de::Error>(self) -> Result<Vec<Element>, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Element>, A::Error> {
        let mut all = Vec::new();
        while let Some(elements) = list.next_element_seed(self.inner(self.name))? {
            all.extend(elements);
        }
        Ok(all)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<Element>, A::Error> {
        self.counted()?;
        let mut element = Element { name: self.name.to_owned(), ..Element::default() };
        let mut names = BTreeSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if names.contains(&name) {
                return Err(self.refuse(TWICE));
            }
            if name.len() > NAME_BYTES_MAX {
                return Err(self.refuse(LONG_NAME));
            }
            let inner = map.next_value_seed(self.inner(&name))?;
            if name == "resourceType" {
                element.resource = inner.into_iter().next().and_then(|kind| kind.value);
            } else {
                element.children.extend(inner);
            }
            names.insert(name);
        }
        Ok(vec![element])
    }
}

fn read_xml(text: &str) -> Result<Element, NoTree> {
    let mut reader = quick_xml::Reader::from_str(text);
    // The elements that are open, the outermost first.
    let mut open: Vec<Element> = Vec::new();
    let mut root = None;
    let mut count = 0usize;
    let mut in_narrative = 0usize;
    loop {
        let path = |open: &[Element]| open.iter().map(|element| element.name.as_str()).collect::<Vec<_>>().join(".");
        let fault = |open: &[Element], because| NoTree { at: path(open), because };
        let event = reader.read_event().map_err(|_| fault(&open, "is not well-formed XML"))?;
        if root.is_some() && matches!(event, Event::Start(_) | Event::Empty(_)) {
            return Err(fault(&open, "goes on after its end"));
        }
        match event {
            Event::Start(tag) if in_narrative > 0 => {
                in_narrative = in_narrative.saturating_add(1);
                if in_narrative > DEPTH_MAX {
                    return Err(fault(&open, TOO_DEEP));
                }
                drop(tag);
                add_text(&mut open, " ");
            }
            // Words that a line or a cell keeps apart stay apart.
            Event::Empty(_) if in_narrative > 0 => add_text(&mut open, " "),
            Event::Start(tag) | Event::Empty(tag) if open.len() >= DEPTH_MAX => {
                drop(tag);
                return Err(fault(&open, TOO_DEEP));
            }
            Event::Start(tag) => {
                let element = started(&tag, &mut count).map_err(|because| fault(&open, because))?;
                if element.name == "div" && open.last().is_some_and(|outer| outer.name == "text") {
                    in_narrative = 1;
                }
                open.push(element);
            }
            Event::Empty(tag) => {
                let element = started(&tag, &mut count).map_err(|because| fault(&open, because))?;
                ended(element, &mut open, &mut root).map_err(|because| fault(&open, because))?;
            }
            Event::End(_) if in_narrative > 1 => {
                in_narrative -= 1;
                add_text(&mut open, " ");
            }
            Event::End(_) => {
                in_narrative = 0;
                if let Some(element) = open.pop() {
                    ended(element, &mut open, &mut root).map_err(|because| fault(&open, because))?;
                }
            }
            Event::Text(said) => {
                if in_narrative > 0 {
                    add_text(&mut open, &said.xml10_content());
                } else if !said.xml10_content().trim().is_empty() {
                    return Err(fault(&open, "has text between its elements"));
                }
            }
            // `&amp;` and its like stay as they are written in a narrative; nothing is expanded anywhere.
            Event::GeneralRef(name) if in_narrative > 0 => add_text(&mut open, &format!("&{};", &*name)),
            Event::CData(said) if in_narrative > 0 => add_text(&mut open, &said),
            Event::GeneralRef(_) | Event::CData(_) => return Err(fault(&open, "has text between its elements")),
            Event::DocType(_) => return Err(fault(&open, "brings a document type of its own (a DTD), which is never read")),
            Event::PI(_) => return Err(fault(&open, "has a processing instruction, which is never read")),
            Event::Comment(_) | Event::Decl(_) => (),
            Event::Eof => break,
        }
    }
    let unfinished = NoTree { at: String::new(), because: "is not one resource" };
    if open.is_empty() { root.ok_or(unfinished) } else { Err(unfinished) }
}

fn add_text(open: &mut [Element], text: &str) {
    if let Some(div) = open.last_mut() {
        div.value.get_or_insert_default().push_str(text);
    }
}

fn started(tag: &BytesStart<'_>, count: &mut usize) -> Result<Element, &'static str> {
    let name = tag.name().as_ref().to_owned();
    if name.len() > NAME_BYTES_MAX {
        return Err(LONG_NAME);
    }
    if name.contains(':') {
        return Err("has an element with a prefix, which FHIR does not write");
    }
    let mut element = Element { name, ..Element::default() };
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|_| "has an attribute that is not well-formed or is there twice")?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0);
        let value = value.map_err(|_| "has an entity in it that FHIR does not know")?.into_owned();
        match attribute.key.as_ref() {
            "value" => element.value = Some(value),
            "xmlns" if value == NAMESPACE || element.name == "div" => (),
            "xmlns" => return Err("is of another namespace than FHIR's"),
            name if name.starts_with("xmlns:") || name.starts_with("xsi:") || name.starts_with("xml:") => (),
            name if name.len() > NAME_BYTES_MAX => return Err(LONG_NAME),
            name => element.children.push(Element::leaf(name, &value)),
        }
        *count = count.saturating_add(1);
    }
    *count = count.saturating_add(1);
    if *count > ELEMENTS_MAX { Err(TOO_MANY) } else { Ok(element) }
}

/// Puts an element where it belongs. `<resource><Patient>...` is one element in JSON, and so it is here.
fn ended(element: Element, open: &mut [Element], root: &mut Option<Element>) -> Result<(), &'static str> {
    let is_resource = element.name.starts_with(|first: char| first.is_ascii_uppercase());
    match open.last_mut() {
        None => *root = Some(Element { resource: is_resource.then(|| element.name.clone()), ..element }),
        Some(outer) if is_resource && matches!(outer.name.as_str(), "resource" | "contained") => {
            if outer.resource.is_some() {
                return Err(TWICE);
            }
            outer.resource = Some(element.name);
            outer.children = element.children;
        }
        Some(outer) => outer.children.push(element),
    }
    Ok(())
}

/// Writes a tree of our own making.
pub fn write(format: Format, root: &Element) -> String {
    match format {
        Format::Json => json_of(root).to_string(),
        Format::Xml => {
            let mut xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>".to_owned();
            write_xml(root, true, &mut xml);
            xml
        }
    }
}

fn json_of(element: &Element) -> Value {
    if let Some(value) = &element.value {
        return Value::String(value.clone());
    }
    let mut object = Map::new();
    if let Some(kind) = &element.resource {
        object.insert("resourceType".to_owned(), Value::String(kind.clone()));
    }
    for child in &element.children {
        let is_list = LISTS.contains(&child.name.as_str())
            // An identifier of a resource is a list; a response has one.
            || (element.resource.is_some() && child.name == "identifier");
        if is_list {
            let list = object.entry(child.name.clone()).or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(list) = list {
                list.push(json_of(child));
            }
        } else {
            object.insert(child.name.clone(), json_of(child));
        }
    }
    Value::Object(object)
}

fn write_xml(element: &Element, is_root: bool, xml: &mut String) {
    let kind = element.resource.as_deref();
    let namespace = if is_root { format!(" xmlns=\"{NAMESPACE}\"") } else { String::new() };
    // A resource within a message stands in an element of its own.
    let (outer, name) = match (kind, is_root) {
        (Some(kind), false) => (Some(element.name.as_str()), kind),
        (Some(kind), true) => (None, kind),
        (None, _) => (None, element.name.as_str()),
    };
    if let Some(outer) = outer {
        xml.push_str(&format!("<{outer}>"));
    }
    match &element.value {
        Some(value) => xml.push_str(&format!("<{name}{namespace} value=\"{}\"/>", quick_xml::escape::escape(value.as_str()))),
        None => {
            xml.push_str(&format!("<{name}{namespace}>"));
            element.children.iter().for_each(|child| write_xml(child, false, xml));
            xml.push_str(&format!("</{name}>"));
        }
    }
    if let Some(outer) = outer {
        xml.push_str(&format!("</{outer}>"));
    }
}
