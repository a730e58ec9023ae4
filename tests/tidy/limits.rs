//! Sizes that keep a file readable from top to bottom.

use super::text::{Finding, Tree};

/// Two panes fit beside each other.
const COLUMNS_MAX: usize = 100;
/// Lines of code without tests in one file; beyond it the file has two subjects.
const FILE_LINES_MAX: usize = 500;
/// Lines of code in one function; it fits on a screen.
const FUNCTION_LINES_MAX: usize = 70;
/// The loop itself is read first and by everybody.
const RECONCILE_LINES_MAX: usize = 40;

pub fn columns(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in &tree.sources {
        for (line, text) in source.text.lines().enumerate() {
            let columns = text.chars().count();
            if columns > COLUMNS_MAX {
                findings.push(source.at(line, &format!("{columns} columns, max {COLUMNS_MAX}")));
            }
        }
    }
    findings
}

pub fn file_lines(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.product() {
        let lines = source.code.lines().enumerate();
        let code = lines.filter(|(at, line)| !source.test[*at] && !line.trim().is_empty()).count();
        if code > FILE_LINES_MAX {
            findings.push(source.at(0, &format!("{code} lines of code, max {FILE_LINES_MAX}")));
        }
    }
    findings
}

pub fn function_lines(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in &tree.sources {
        for function in source.functions() {
            let max = match function.name {
                "reconcile" => RECONCILE_LINES_MAX,
                _ => FUNCTION_LINES_MAX,
            };
            let lines = source.code_lines(function.first, function.last);
            if lines > max {
                let what = format!("`{}` has {lines} lines of code, max {max}", function.name);
                findings.push(source.at(function.first, &what));
            }
        }
    }
    findings
}
