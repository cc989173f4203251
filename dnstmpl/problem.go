package dnstmpl

import (
	"strconv"
	"strings"
)

// A Rule names what a [Problem] is about, for programs.
type Rule string

// The rules that templates and records are held to.
const (
	RuleSyntax     Rule = "syntax"      // the template's language
	RuleLimit      Rule = "limit"       // steps, sizes or nesting
	RuleData       Rule = "data"        // what the template is rendered with
	RuleDirective  Rule = "directive"   // $INCLUDE and its like
	RuleLine       Rule = "line"        // the shape of a line: parentheses, indentation, quotes, comments
	RuleMissing    Rule = "missing"     // something is left out of a line
	RuleTTL        Rule = "ttl"         // not a number, or out of range
	RuleClass      Rule = "class"       // neither IN, HS nor CH
	RuleType       Rule = "type"        // unknown, or not taken by the provider
	RuleName       Rule = "name"        // not a name, or not a host name
	RuleFinalDot   Rule = "final-dot"   // a name that is not absolute
	RuleOutside    Rule = "outside"     // an owner outside the zone
	RuleValue      Rule = "value"       // the data of a record
	RuleTextLength Rule = "text-length" // a string over 255 octets, or a record too long to be sent
	RuleCNAME      Rule = "cname"       // CNAME or DNAME where it may not be
	RuleDuplicate  Rule = "duplicate"   // a second SPF or DMARC record and their like
	RuleImport     Rule = "import"      // what Import could not convert
)

// A Problem is one thing that is wrong, where, and what to write instead. As an
// error it reads "file:line:column: text; write …".
type Problem struct {
	File   string `json:"file,omitempty"`   // the name given to Parse
	Line   int    `json:"line,omitempty"`   // of the template, from 1; 0 where no line is to blame
	Column int    `json:"column,omitempty"` // in octets, from 1; 0 where it is not known
	Rule   Rule   `json:"rule"`
	Text   string `json:"text"`             // what is wrong
	Fix    string `json:"fix,omitempty"`    // what to write instead, as the rest of "write …"
	Record string `json:"record,omitempty"` // the line that the template wrote, if the problem is in it
}

// Error is the problem on one line.
func (p Problem) Error() string {
	var b strings.Builder
	for _, part := range []string{p.File, number(p.Line), number(p.Column)} {
		if part == "" {
			break
		}
		b.WriteString(part + ":")
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	b.WriteString(p.Text)
	if p.Fix != "" {
		b.WriteString("; write " + p.Fix)
	}
	return b.String()
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// Problems is all that is wrong with a template or its records, in the order of
// lines. It is the error of [Template.Render] and its like; errors.As finds it, or
// the first Problem.
type Problems []Problem

// Error is one problem a line.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the single problems to errors.As.
func (p Problems) Unwrap() []error {
	errs := make([]error, len(p))
	for i, problem := range p {
		errs[i] = problem
	}
	return errs
}
