//! Golden traces: a story in text in, the moves of each turn out, compared with the stored file.
//!
//! A line that begins with `>` is an event of the story; the lines after it are what follows.
//! `UPDATE=1 cargo test --test traces` rewrites the files.

#[cfg(test)]
#[path = "traces/world.rs"]
mod world;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use crate::world::World;

    #[test]
    fn every_story_is_told_as_before() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces");
        let mut names: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|ext| ext == "txt"))
            .collect();
        names.sort();
        assert!(names.len() >= 10, "stories are missing in {}", folder.display());
        let mut changed = Vec::new();
        for path in names {
            let stored = fs::read_to_string(&path).unwrap();
            let told = tell(&stored);
            if stored != told {
                if std::env::var_os("UPDATE").is_some() {
                    fs::write(&path, &told).unwrap();
                } else {
                    changed.push(format!("{}\n{}", path.display(), difference(&stored, &told)));
                }
            }
        }
        assert!(changed.is_empty(), "traces changed:\n{}", changed.join("\n"));
    }

    fn tell(story: &str) -> String {
        let mut world = World::default();
        let mut told = String::new();
        for line in story.lines() {
            if line.starts_with('#') || line.is_empty() {
                told.push_str(line);
                told.push('\n');
            } else if let Some(event) = line.strip_prefix("> ") {
                told.push_str(line);
                told.push('\n');
                for line in world.happens(event) {
                    told.push_str("  ");
                    told.push_str(&line);
                    told.push('\n');
                }
            }
        }
        told
    }

    fn difference(stored: &str, told: &str) -> String {
        let (stored, told): (Vec<_>, Vec<_>) = (stored.lines().collect(), told.lines().collect());
        let same = stored.iter().zip(&told).take_while(|(a, b)| a == b).count();
        let rest = |lines: Vec<&str>| -> Vec<String> {
            lines.into_iter().skip(same).take(6).map(str::to_owned).collect()
        };
        format!("line {}: stored {:#?}\ntold {:#?}", same + 1, rest(stored), rest(told))
    }
}
