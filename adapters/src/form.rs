//! A form while it is put into the contract's words: what every agency's translation stands on. Pure.
//!
//! What has no place in the canonical submission is kept as an item with its category, and each part remembers
//! which field of the form it comes from: what is wrong is told in the form's words, never in ours.

use proto::read::{Invalid, Violation};
use proto::wire::common::v1 as common;
use proto::wire::common::v1::{Agreement, Category, DutyDecision, HandlingFlag, Knowledge, Level, Subject};
use referral::Endpoint;
use referral::identifiers::GssCode;

/// A form, translated.
pub struct Translated {
    /// The canonical submission.
    pub content: common::Submission,
    /// What is wrong with the form itself.
    pub faults: Vec<Violation>,
    /// The agency that the form says it comes from, as far as that can be read.
    pub(crate) named: Option<Endpoint>,
    /// Where in the form each part of the submission comes from.
    pub(crate) origins: Vec<(String, String)>,
}

impl Translated {
    /// Whether the form may come from `sender`: it names that agency, or none that can be read, which is told with all else
    /// that is wrong.
    pub fn may_come_from(&self, sender: &Endpoint) -> bool {
        self.named.as_ref().is_none_or(|named| named == sender)
    }

    /// Faults of the submission, told in the form's fields, after those of the form itself.
    pub fn in_the_forms_words(&self, invalid: Invalid) -> Invalid {
        let told = invalid.0.into_iter().map(|violation| Violation { field: self.origin_of(&violation.field), ..violation });
        let mut all = self.faults.clone();
        for violation in told {
            // What the form lacks, the submission lacks too: it is said once.
            if !all.iter().any(|known| known.field == violation.field) {
                all.push(violation);
            }
        }
        Invalid(all)
    }

    fn origin_of(&self, path: &str) -> String {
        let fits = |canonical: &str| match path.strip_prefix(canonical) {
            Some(rest) => rest.is_empty() || rest.starts_with(['.', '[']),
            None => false,
        };
        let longest = self.origins.iter().filter(|(canonical, _)| fits(canonical)).max_by_key(|(canonical, _)| canonical.len());
        match longest {
            // An item is made of several fields of the form; which of ours failed says nothing to its writer.
            Some((canonical, origin)) if canonical.starts_with("content.items[") => origin.clone(),
            Some((canonical, origin)) => format!("{origin}{}", path.get(canonical.len()..).unwrap_or_default()),
            None if path.starts_with("content") => "form".to_owned(),
            // What stands beside the form, such as its key.
            None => path.to_owned(),
        }
    }
}

/// A sender knows its council by its code; the contract wants the desk.
pub(crate) fn addressed_to(text: &str) -> String {
    GssCode::parse(text).map(|gss| Endpoint::front_door(gss).to_string()).unwrap_or_else(|_| text.to_owned())
}

/// Whom the sender would have told as well, as the contract wants them.
pub(crate) fn to_tell(asked: &[String]) -> Vec<String> {
    asked.iter().map(|asked| addressed_to(asked)).collect()
}

/// `number`, or what counts where the form left it empty.
pub(crate) fn or(number: i32, otherwise: i32) -> i32 {
    if number == 0 { otherwise } else { number }
}

pub(crate) fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

/// The submission while it is written.
pub(crate) struct Writing {
    pub(crate) level: i32,
    pub(crate) handling: Vec<i32>,
    pub(crate) referrer: Option<common::Practitioner>,
    pub(crate) items: Vec<common::InformationItem>,
    pub(crate) faults: Vec<Violation>,
    pub(crate) named: Option<Endpoint>,
    pub(crate) origins: Vec<(String, String)>,
}

/// What a statement of the form becomes.
pub(crate) struct Kept<'a> {
    pub(crate) origin: &'a str,
    pub(crate) category: Category,
    pub(crate) subject: i32,
    pub(crate) about_child: Option<u32>,
    /// Put before the text, so that an item read alone says what it answers.
    pub(crate) label: &'a str,
}

impl Writing {
    pub(crate) fn new(level: i32) -> Writing {
        let (handling, items, faults, origins) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Writing { level, handling, referrer: None, items, faults, named: None, origins }
    }

    /// The whole, once everything is written.
    pub(crate) fn done(self, content: common::Submission) -> Translated {
        let Writing { level: _, handling, referrer, items, faults, named, origins } = self;
        Translated { content: common::Submission { handling, referrer, items, ..content }, faults, named, origins }
    }

    pub(crate) fn refuse(&mut self, field: &str, rule: &'static str, because: &str) {
        self.faults.push(Violation { field: field.to_owned(), rule, because: because.to_owned() });
    }

    /// A wrong number or code of the sender's own stops nothing at significant harm: it goes as it was written
    /// (ID-04). Below, the sender is asked to look again.
    pub(crate) fn doubt(&mut self, field: &str, because: &str) {
        let goes_anyway = [Level::ImmediateDanger as i32, Level::SignificantHarm as i32].contains(&self.level);
        if !goes_anyway {
            self.refuse(field, "ID-04", because);
        }
    }

    pub(crate) fn comes_from(&mut self, canonical: &str, origin: &str) {
        self.origins.push((canonical.to_owned(), origin.to_owned()));
    }

    pub(crate) fn condition(&mut self, flag: i32) {
        if !self.handling.contains(&flag) {
            self.handling.push(flag);
        }
    }

    pub(crate) fn needed_text(&mut self, field: &str, text: &str, because: &str) {
        if is_blank(text) {
            self.refuse(field, "required", because);
        }
    }

    /// Keeps a document, and why it must stay from the family, which is for whoever may read the document.
    pub(crate) fn keep_document(&mut self, kept: Kept<'_>, document: Document<'_>) {
        let handling = not_for_family(document.is_secret);
        let item = common::InformationItem {
            category: kept.category as i32,
            subject: kept.subject,
            knowledge: Knowledge::Direct as i32,
            handling: handling.clone(),
            about_child: kept.about_child,
            summary: document.description.to_owned(),
            body: document.attachment.map(common::information_item::Body::Attachment),
        };
        self.keep(kept.origin, item);
        self.keep_fields(kept, handling, "", &[("why_confidential_from_the_family", document.why_secret.to_owned())]);
    }

    pub(crate) fn keep(&mut self, origin: &str, item: common::InformationItem) {
        self.comes_from(&format!("content.items[{}]", self.items.len()), origin);
        self.items.push(item);
    }

    /// Keeps named values as one item; those left empty are left out, and so is an item without any.
    pub(crate) fn keep_fields(&mut self, kept: Kept<'_>, handling: Vec<i32>, summary: &str, values: &[(&str, String)]) {
        let written = values.iter().filter(|(_, value)| !is_blank(value));
        let fields: Vec<common::Field> =
            written.map(|(name, value)| common::Field { name: (*name).to_owned(), value: value.clone() }).collect();
        let body = if fields.is_empty() {
            if is_blank(summary) {
                return;
            }
            common::information_item::Body::Text(summary.to_owned())
        } else {
            common::information_item::Body::Fields(common::Fields { fields })
        };
        self.keep(
            kept.origin,
            common::InformationItem {
                category: kept.category as i32,
                subject: kept.subject,
                knowledge: Knowledge::NotStated as i32,
                handling,
                about_child: kept.about_child,
                summary: summary.to_owned(),
                body: Some(body),
            },
        );
    }

    /// Keeps what somebody said with who told it and why it must stay from the family, each as an item of its own: a
    /// name is somebody else's information than the statement is.
    pub(crate) fn keep_said(&mut self, kept: Kept<'_>, said: Said<'_>) {
        let handling = said.handling;
        let text = if is_blank(said.text) { said.summary } else { said.text };
        let Kept { origin, category, subject, about_child, label } = kept;
        let item = |category: Category, text: String, summary: &str| common::InformationItem {
            category: category as i32,
            subject,
            knowledge: or(said.source, Knowledge::NotStated as i32),
            handling: handling.clone(),
            about_child,
            summary: summary.to_owned(),
            body: Some(common::information_item::Body::Text(text)),
        };
        if !is_blank(text) {
            self.keep(origin, item(category, format!("{label}{text}"), said.summary));
        }
        if !is_blank(said.told_by) {
            let mut told = item(Category::ReferrerIdentity, format!("{label}told to {} by {}", said.told_to, said.told_by), "");
            told.subject = Subject::Other as i32;
            self.keep(origin, told);
        }
        if !is_blank(said.why_secret) {
            let why = format!("{label}must stay confidential from the family: {}", said.why_secret);
            // A reason often says more of the matter than the statement does: it is for whoever may read that.
            self.keep(origin, item(category, why, ""));
        }
    }
}

/// What a part of a form says, with what stands beside it.
pub(crate) struct Said<'a> {
    /// What it says.
    pub(crate) text: &'a str,
    /// The least that somebody who may not have all of it needs to know.
    pub(crate) summary: &'a str,
    /// How the agency knows.
    pub(crate) source: i32,
    /// To whom it was told, as a word in a sentence.
    pub(crate) told_to: &'static str,
    /// Who told it.
    pub(crate) told_by: &'a str,
    /// Why it must stay from the family; empty where nobody says so.
    pub(crate) why_secret: &'a str,
    /// The conditions on it.
    pub(crate) handling: Vec<i32>,
}

/// A document of a form.
pub(crate) struct Document<'a> {
    pub(crate) description: &'a str,
    pub(crate) attachment: Option<common::Attachment>,
    pub(crate) is_secret: bool,
    /// Why it must stay from the family; empty where nobody says so.
    pub(crate) why_secret: &'a str,
}

/// The condition on what must stay from the family.
pub(crate) fn not_for_family(is_secret: bool) -> Vec<i32> {
    if is_secret { vec![HandlingFlag::NotForFamily as i32] } else { Vec::new() }
}

/// What was agreed and what was decided about sharing, as words of a record.
pub(crate) fn words_of_sharing(agreement: i32, duty: i32) -> [String; 2] {
    let word = |name: &str, prefix: &str| name.trim_start_matches(prefix).to_ascii_lowercase();
    let agreed = Agreement::try_from(agreement).map(|agreement| word(agreement.as_str_name(), "AGREEMENT_"));
    let decided = DutyDecision::try_from(duty).map(|duty| word(duty.as_str_name(), "DUTY_DECISION_"));
    [agreed.unwrap_or_default(), decided.unwrap_or_default()]
}

/// What is about the child of a form, or about all of them.
pub(crate) fn of_child(origin: &str, category: Category) -> Kept<'_> {
    Kept { origin, category, subject: Subject::Child as i32, about_child: None, label: "" }
}

/// A person at work as named values.
pub(crate) fn practitioner(
    [name, role, contact]: [&'static str; 3],
    person: &common::Practitioner,
) -> [(&'static str, String); 3] {
    [(name, person.name.clone()), (role, person.role.clone()), (contact, person.contact.clone())]
}

/// What is about the practitioner who sends.
pub(crate) fn of_referrer(origin: &str) -> Kept<'_> {
    Kept { origin, category: Category::ReferrerIdentity, subject: Subject::Other as i32, about_child: None, label: "" }
}

#[cfg(test)]
pub(crate) mod filling;
