//! Which name belongs to which: metadata and its partner, told by what their names share.
//!
//! Both sides are reduced to keys: `a.json` and `a.jpg` to the stem `a`. What shares a key belongs together.

use super::{field::Field, hashes::Hash};
use crate::{
    bundle::{NameTemplate, Part, TemplateError, stem},
    pattern::Pattern,
    select::Select,
    text::joined,
    units::{deserialize_from_str, one_word_of},
};
use std::{borrow::Cow, fmt, str::FromStr};
use unicode_normalization::UnicodeNormalization as _;

/// The name of a partner, made of that of the metadata: `{stem}.jpg`, `{name}.png`, `image-{star}.jpg`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartnerName(NameTemplate);

impl PartnerName {
    /// Whether it needs to know what the star of a pattern stands for.
    pub fn needs_star(&self) -> bool {
        self.0.part() == Part::Star
    }

    /// A pattern that all such names match.
    pub fn pattern(&self) -> Pattern {
        let (before, after) = self.0.around();
        Pattern::around(before, after)
    }

    /// Whether it makes of every name that a pattern matches that very name.
    pub fn is_itself(&self, pattern: &Pattern) -> bool {
        let (before, after) = self.0.around();
        match (self.0.part(), pattern.ends()) {
            (Part::Name, _) => before.is_empty() && after.is_empty(),
            (Part::Star, Some(ends)) => ends == (before, after),
            (Part::Stem, Some((_, ends))) => {
                let extension = after.strip_prefix(b".").filter(|extension| !extension.contains(&b'.'));
                before.is_empty() && extension.is_some() && ends.ends_with(after)
            }
            (_, None) => false,
        }
    }

    /// Whether it says nothing but the part that varies.
    pub fn is_bare(&self) -> bool {
        self.0.around() == (b"", b"")
    }
}

impl FromStr for PartnerName {
    type Err = TemplateError;

    fn from_str(written: &str) -> Result<Self, TemplateError> {
        NameTemplate::parse(written, &[Part::Stem, Part::Name, Part::Star]).map(Self)
    }
}

impl fmt::Display for PartnerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

deserialize_from_str!(PartnerName, "the name of a partner, such as \"{stem}.jpg\"");

/// By what a partner is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// By its name: one of these.
    Names(Vec<PartnerName>),
    /// By a field of the metadata, which names it.
    Field(Field),
}

/// Where below a folder a partner lies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Layout {
    /// Anywhere.
    #[default]
    Any,
    /// In the folder of the same path as that of the metadata.
    Same,
}

one_word_of!(Layout, "a layout", "any" => Self::Any, "same" => Self::Same);

/// One of the two that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// What describes.
    Metadata,
    /// What is described.
    Partner,
}

impl Side {
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Metadata => Self::Partner,
            Self::Partner => Self::Metadata,
        }
    }
}

/// What belongs together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pairing {
    /// The names of metadata.
    pub metadata: Select,
    /// By what a partner is known.
    pub by: By,
    /// Where it lies.
    pub layout: Layout,
    /// Upper and lower case are the same.
    pub ignore_case: bool,
    /// Composed and decomposed letters are the same.
    pub normalize: bool,
}

impl Pairing {
    /// Whether a name could be one of this side.
    pub fn is_of(&self, side: Side, folder: &[u8], name: &[u8]) -> bool {
        match (side, &self.by) {
            // What would be metadata with a letter in another case may well be it, to whoever reads it.
            (Side::Metadata, _) => {
                self.metadata.patterns.iter().any(|pattern| pattern.matches_in_any_case(folder, name))
            }
            (Side::Partner, By::Field(_)) => true,
            (Side::Partner, By::Names(names)) => {
                names.iter().any(|partner| partner.0.inside_in_any_case(name).is_some())
            }
        }
    }

    /// The keys of a name, none for one that is not of this side; whether a letter of an extension is in
    /// another case than it was written in.
    pub(super) fn keys(&self, side: Side, folder: &[u8], name: &[u8], each: &mut dyn FnMut(u64)) -> bool {
        let By::Names(names) = &self.by else {
            if side == Side::Partner {
                each(self.key_of_whole(name));
            }
            return false;
        };
        let mut is_odd = false;
        match side {
            Side::Metadata => {
                for (n, partner) in names.iter().enumerate() {
                    let part = partner.0.part();
                    if names[..n].iter().any(|before| before.0.part() == part) {
                        continue;
                    }
                    match part {
                        Part::Stem => each(self.key(part, folder, stem(name))),
                        Part::Name => each(self.key(part, folder, name)),
                        Part::Star => {
                            let stars = self.parts_of(part, folder, name).into_iter();
                            stars.for_each(|inside| each(self.key(part, folder, inside)));
                        }
                    }
                }
            }
            Side::Partner => {
                for partner in names {
                    if let Some(inside) = partner.0.inside_in_any_case(name) {
                        each(self.key(partner.0.part(), folder, inside));
                        is_odd |= !partner.0.fits(name);
                    }
                }
            }
        }
        is_odd
    }

    /// The key of a partner that is named whole.
    pub(super) fn key_of_whole(&self, name: &[u8]) -> u64 {
        Hash::new(3).with(&self.folded(name)).get()
    }

    fn key(&self, part: Part, folder: &[u8], inside: &[u8]) -> u64 {
        let hash = Hash::new(match part {
            Part::Stem => 4,
            Part::Name => 5,
            Part::Star => 6,
        });
        let hash = if self.layout == Layout::Same { hash.with(folder) } else { hash };
        hash.with(&self.folded(inside)).get()
    }

    /// What a part stands for in the name of metadata: a star in each pattern that it matches.
    fn parts_of<'n>(&self, part: Part, folder: &[u8], name: &'n [u8]) -> Vec<&'n [u8]> {
        match part {
            Part::Stem => vec![stem(name)],
            Part::Name => vec![name],
            Part::Star => {
                let patterns = self.metadata.patterns.iter();
                let fitting = patterns.filter(|pattern| pattern.matches_in_any_case(folder, name));
                fitting.filter_map(|pattern| pattern.star(name)).collect()
            }
        }
    }

    /// The names, exactly as they are written, that what belongs to a name could have.
    pub(super) fn others_of(&self, side: Side, folder: &[u8], name: &[u8]) -> Vec<Vec<u8>> {
        let By::Names(names) = &self.by else { return Vec::new() };
        match side {
            Side::Metadata => names
                .iter()
                .flat_map(|partner| {
                    let parts = self.parts_of(partner.0.part(), folder, name);
                    parts.into_iter().map(|part| partner.0.around_part(part))
                })
                .collect(),
            Side::Partner => {
                let inside = names
                    .iter()
                    .filter_map(|partner| Some((partner.0.part(), partner.0.inside_in_any_case(name)?)));
                let patterns = &self.metadata.patterns;
                inside
                    .flat_map(|(part, inside)| {
                        patterns.iter().filter_map(move |pattern| match part {
                            Part::Stem => Some([inside, pattern.extension()?.as_slice()].concat()),
                            Part::Name => Some(inside.to_vec()),
                            Part::Star => {
                                let (before, after) = pattern.ends()?;
                                Some([before, inside, after].concat())
                            }
                        })
                    })
                    .filter(|other| self.is_of(Side::Metadata, folder, other))
                    .collect()
            }
        }
    }

    /// Whether what belongs to a name can only be called exactly as that says.
    pub(super) fn is_exact(&self) -> bool {
        matches!(self.by, By::Names(_)) && !self.ignore_case && !self.normalize
    }

    /// The same names with their extensions in upper and in lower case, where that makes others.
    pub(super) fn in_other_cases(names: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let of = |name: &Vec<u8>, change: fn(&[u8]) -> Vec<u8>| {
            let (stem, extension) = name.split_at(stem(name).len());
            [stem, &change(extension)].concat()
        };
        let all = names
            .iter()
            .flat_map(|name| [of(name, <[u8]>::to_ascii_lowercase), of(name, <[u8]>::to_ascii_uppercase)]);
        all.filter(|name| !names.contains(name)).collect()
    }

    /// Whether a pattern says how the metadata of any partner would be called.
    pub fn tells_metadata(&self) -> bool {
        let By::Names(names) = &self.by else { return true };
        self.metadata.patterns.iter().all(|pattern| {
            names.iter().all(|partner| match partner.0.part() {
                Part::Stem => pattern.extension().is_some(),
                Part::Name => true,
                Part::Star => pattern.ends().is_some(),
            })
        })
    }

    /// A name in the one form in which names are compared.
    fn folded<'n>(&self, name: &'n [u8]) -> Cow<'n, [u8]> {
        if !self.ignore_case && !self.normalize {
            return name.into();
        }
        let Ok(text) = std::str::from_utf8(name) else {
            return if self.ignore_case { name.to_ascii_lowercase().into() } else { name.into() };
        };
        let mut text = Cow::from(text);
        if self.ignore_case {
            text = text.to_lowercase().into();
        }
        if self.normalize && !text.is_ascii() {
            text = text.nfc().collect::<String>().into();
        }
        text.into_owned().into_bytes().into()
    }
}

/// The paths at which a name could lie below a folder of the other side.
pub(super) fn paths(layout: Layout, folder: &[u8], name: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let at_top = (layout == Layout::Any && !folder.is_empty()).then(|| name.to_vec());
    std::iter::once(joined(&[folder, name])).chain(at_top)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairing(metadata: &[&str], partners: &[&str]) -> Pairing {
        Pairing {
            metadata: Select {
                patterns: metadata.iter().map(|text| text.parse().unwrap()).collect(),
                ..Select::default()
            },
            by: By::Names(partners.iter().map(|text| text.parse().unwrap()).collect()),
            layout: Layout::Any,
            ignore_case: false,
            normalize: false,
        }
    }

    fn keys(pairing: &Pairing, side: Side, path: &str) -> Vec<u64> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut keys = Vec::new();
        pairing.keys(side, folder.as_bytes(), name.as_bytes(), &mut |key| keys.push(key));
        keys
    }

    fn belong(pairing: &Pairing, metadata: &str, partner: &str) -> bool {
        let of_partner = keys(pairing, Side::Partner, partner);
        keys(pairing, Side::Metadata, metadata).iter().any(|key| of_partner.contains(key))
    }

    #[test]
    fn a_stem_ends_at_the_last_dot() {
        let images = pairing(&["*.json"], &["{stem}.jpg", "{stem}.png"]);
        assert!(belong(&images, "a.json", "a.jpg") && belong(&images, "a.json", "a.png"));
        assert!(belong(&images, "cam.1.a.json", "cam.1.a.jpg"));
        assert!(!belong(&images, "cam.1.a.json", "cam.1.jpg") && !belong(&images, "a.json", "a.gif"));
        assert!(belong(&images, ".json", ".json.jpg") && !belong(&images, "a.json", "A.jpg"));
        assert!(belong(&images, "2026/a.json", "x/y/a.jpg"), "anywhere");
    }

    #[test]
    fn an_extension_may_be_in_upper_case() {
        let images = pairing(&["*.json"], &["{stem}.jpg"]);
        assert!(belong(&images, "DSC1.json", "DSC1.JPG") && !belong(&images, "DSC1.json", "dsc1.JPG"));
        let odd = |name: &str| images.keys(Side::Partner, b"", name.as_bytes(), &mut |_| ());
        assert!(odd("DSC1.JPG") && !odd("DSC1.jpg"));
    }

    #[test]
    fn a_whole_name_or_a_star_may_vary() {
        let whole = pairing(&["*.json"], &["{name}.jpg", "{stem}"]);
        assert!(belong(&whole, "a.json", "a.json.jpg") && belong(&whole, "a.jpg.json", "a.jpg"));
        assert!(!belong(&whole, "a.json", "a.jpg"));
        let star = pairing(&["meta-*.info.json", "*.json"], &["image-{star}.jpg"]);
        assert!(belong(&star, "meta-7.info.json", "image-7.jpg") && belong(&star, "7.json", "image-7.jpg"));
        assert!(belong(&star, "meta-7.info.json", "image-meta-7.info.jpg"), "by the other pattern");
        assert!(
            belong(&star, "META-7.info.JSON", "image-7.jpg")
                && !belong(&star, "meta-7.info.json", "image-8.jpg")
        );
    }

    #[test]
    fn the_same_layout_wants_the_same_folder() {
        let images = Pairing { layout: Layout::Same, ..pairing(&["*.json"], &["{stem}.jpg"]) };
        assert!(belong(&images, "d/a.json", "d/a.jpg") && !belong(&images, "d/a.json", "e/a.jpg"));
        assert!(!belong(&images, "d/a.json", "a.jpg"));
    }

    #[test]
    fn on_request_forms_and_cases_are_the_same() {
        let exact = pairing(&["*.json"], &["{stem}.jpg"]);
        let (composed, apart) = ("caf\u{e9}", "cafe\u{301}");
        let names = |left: &str, right: &str| (format!("{left}.json"), format!("{right}.jpg"));
        let (json, image) = names(composed, apart);
        assert!(!belong(&exact, &json, &image));
        let either = Pairing { normalize: true, ..exact.clone() };
        assert!(belong(&either, &json, &image));
        let (json, image) = names("CAF\u{c9}", apart);
        assert!(!belong(&either, &json, &image));
        assert!(belong(&Pairing { ignore_case: true, ..either }, &json, &image));
        let mut bytes = Vec::new();
        Pairing { normalize: true, ignore_case: true, ..exact }.keys(
            Side::Partner,
            b"",
            b"\xff\xfeA.jpg",
            &mut |key| bytes.push(key),
        );
        assert_eq!(bytes.len(), 1, "a name that is no text has a key too");
    }

    #[test]
    fn what_could_belong_to_a_name_is_named() {
        let others = |pairing: &Pairing, side, name: &str| {
            let all = pairing.others_of(side, b"", name.as_bytes());
            all.into_iter().map(|name| String::from_utf8(name).unwrap()).collect::<Vec<_>>()
        };
        let images = pairing(&["*.json"], &["{stem}.jpg", "{name}.png"]);
        assert_eq!(others(&images, Side::Metadata, "a.b.json"), ["a.b.jpg", "a.b.json.png"]);
        assert_eq!(others(&images, Side::Partner, "a.b.jpg"), ["a.b.json"]);
        assert_eq!(others(&images, Side::Partner, "a.json.png"), ["a.json"]);
        let star = pairing(&["m-*.json"], &["{star}.jpg"]);
        assert_eq!(others(&star, Side::Partner, "7.jpg"), ["m-7.json"]);
        assert!(images.tells_metadata() && !pairing(&["a*"], &["{stem}.jpg"]).tells_metadata());
        let cameras = pairing(&["cam?-[0-9]*.json"], &["{stem}.jpg"]);
        assert_eq!(others(&cameras, Side::Partner, "cam1-7.jpg"), ["cam1-7.json"]);
        assert!(others(&cameras, Side::Partner, "other.jpg").is_empty(), "none of its metadata is ours");
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (text, says) in [
            ("*.jpg", "{star} once"),
            ("{stem}{name}", "{star} once"),
            ("{stem}/{x}.jpg", "braces"),
            ("live/{stem}.jpg", "no slash"),
        ] {
            let error = text.parse::<PartnerName>().unwrap_err().to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
        assert!("{stem}".parse::<PartnerName>().unwrap().is_bare());
    }
}
