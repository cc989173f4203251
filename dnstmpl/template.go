package dnstmpl

import (
	"errors"
	"fmt"
)

// A Template makes records from Data. It is safe for concurrent use.
type Template struct {
	name string
	body body
}

// A body is a parsed template in one of the languages. It executes with checked data
// and writes to out, whose limits it keeps. Errors of its own are Problems without a
// file, or Problem values.
type body interface {
	execute(out *output, d Data) error
}

// Name is the name given to Parse.
func (t *Template) Name() string { return t.name }

// Text is what the template writes, not yet held to the rules of records. The error
// is Problems.
func (t *Template) Text(d Data) (string, error) {
	out, _, err := t.run(d)
	if err != nil {
		return "", err
	}
	return string(out.text), nil
}

// Render executes the template and makes records of what it writes. The error is
// Problems: everything that is wrong, each with the line of the template it comes
// from. Then there is no zone.
func (t *Template) Render(d Data) (Zone, error) {
	out, d, err := t.run(d)
	if err != nil {
		return Zone{}, err
	}
	z, problems := readZone(out, d)
	if len(problems) > 0 {
		return Zone{}, t.named(problems)
	}
	return z, nil
}

func (t *Template) run(d Data) (*output, Data, error) {
	d, problems := d.checked()
	if len(problems) > 0 {
		return nil, d, t.named(problems)
	}
	out := &output{}
	if err := t.body.execute(out, d); err != nil {
		return nil, d, t.named(asProblems(err))
	}
	return out, d, nil
}

// named puts the template's name into problems.
func (t *Template) named(problems Problems) error {
	for i := range problems {
		problems[i].File = t.name
	}
	return problems
}

func asProblems(err error) Problems {
	var several Problems
	if errors.As(err, &several) {
		return several
	}
	var one Problem
	if errors.As(err, &one) {
		return Problems{one}
	}
	return Problems{{Rule: RuleSyntax, Text: err.Error()}}
}

// checkSource refuses a template that is too long.
func checkSource(name, text string) error {
	if len(text) > maxSource {
		at := newSource(text[:maxSource]).place(maxSource)
		return Problems{{
			File: name, Line: at.line, Column: at.column, Rule: RuleLimit,
			Text: fmt.Sprintf("a template has %d octets at most", maxSource), Fix: "a shorter one",
		}}
	}
	return nil
}
