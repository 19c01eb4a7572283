"""The answers of gates as JUnit's XML, which CI servers read: a suite a gate, a test a case. Pure.

There is no standard but what readers take: https://llg.cubic.org/docs/junit/ collects that.
"""

from collections.abc import Sequence
from typing import assert_never
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from ipcbench.analysis.gates import CaseResult, GateResult
from ipcbench.reporters.tables.gates import why_text
from ipcbench.text import printable


def junit_text(results: Sequence[GateResult]) -> str:
    """The document. A gate that judged nothing has one test, which is skipped with the reason."""
    root = Element("testsuites", name="ipcbench gates")
    for result in results:
        name = f"{result.gate.text} ({result.versus})"
        suite = SubElement(root, "testsuite", name=printable(name))
        for case in result.cases:
            _add(suite, result.gate.text, case)
        if not result.cases:
            test = _test(suite, result.gate.text, result.gate.subject)
            SubElement(test, "skipped", message=printable(result.why))
    for node in (root, *root):
        node.set("tests", str(len(list(node.iter("testcase")))))
        node.set("failures", str(len(list(node.iter("failure")))))
        node.set("errors", "0")
        node.set("skipped", str(len(list(node.iter("skipped")))))
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="unicode")}\n'


def _add(suite: Element, gate: str, case: CaseResult) -> None:
    test = _test(suite, gate, case.case.id)
    why = printable(why_text(case))
    match case.outcome:
        case "passed":
            SubElement(test, "system-out").text = why
        case "tripped":
            SubElement(test, "failure", type="gate", message=f"{printable(gate)}: {why}").text = why
        case "not judged":
            SubElement(test, "skipped", message=why)
        case _:
            assert_never(case.outcome)


def _test(suite: Element, gate: str, name: str) -> Element:
    # What isn't printable is escaped: XML has no way to write most control characters.
    return SubElement(suite, "testcase", classname=printable(gate), name=printable(name), time="0")
