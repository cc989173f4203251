package dnstmpl

import (
	"fmt"
	"slices"
)

// Limits of rendering. They are far above what a zone for mail needs, and low enough
// that no template keeps a processor or memory busy.
const (
	maxSource  = 256 << 10 // octets of a template
	maxOutput  = 1 << 20   // octets that a template writes
	maxSteps   = 50_000    // nodes executed
	maxString  = 64 << 10  // octets of one string made by a function
	maxStrings = 8 << 20   // octets of all strings made by functions
)

// A place is a line and a column of a template, both from 1.
type place struct{ line, column int }

// after is the place behind text that begins at p.
func (p place) after(text []byte) place {
	for _, c := range text {
		p.column++
		if c == '\n' {
			p = place{p.line + 1, 1}
		}
	}
	return p
}

// A sourceText is the offsets at which the lines of a text begin.
type sourceText []int

func newSource(text string) sourceText {
	lines := sourceText{0}
	for i := range len(text) {
		if text[i] == '\n' {
			lines = append(lines, i+1)
		}
	}
	return lines
}

// place is where the octet at an offset stands.
func (s sourceText) place(offset int) place {
	i, found := slices.BinarySearch(s, offset)
	if !found {
		i--
	}
	return place{i + 1, offset - s[i] + 1}
}

// An output takes what a template writes and knows of each octet where in the
// template it is from. It keeps the limits too: whoever executes a template calls
// step before each node and spend for each string that is made.
type output struct {
	text     []byte
	segments []segment
	steps    int
	strings  int
}

// A segment of an output begins at an offset and is from one place. The octets of a
// literal stand in the template as they are; those of a value do not.
type segment struct {
	offset  int
	from    place
	literal bool
}

// step counts work; at is where the node that costs it stands.
func (o *output) step(at place, cost int) error {
	o.steps += cost
	if o.steps > maxSteps {
		return limit(at, fmt.Sprintf("the template takes more than %d steps", maxSteps))
	}
	return nil
}

// spend counts the octets of a string that a function is about to make.
func (o *output) spend(n int) error { return o.grow(0, n) }

// grow counts the octets by which a string of some length is about to grow.
func (o *output) grow(length, by int) error {
	o.strings += by
	if length+by > maxString || o.strings > maxStrings {
		return limit(place{}, fmt.Sprintf("strings are limited to %d octets each and %d together", maxString, maxStrings))
	}
	return nil
}

// literal writes text that stands in the template at a place.
func (o *output) literal(at place, text []byte) error {
	return o.write(segment{len(o.text), at, true}, text)
}

// value writes what an expression at a place came to.
func (o *output) value(at place, text []byte) error {
	return o.write(segment{len(o.text), at, false}, text)
}

func (o *output) write(s segment, text []byte) error {
	if len(o.text)+len(text) > maxOutput {
		return limit(s.from, fmt.Sprintf("the template writes more than %d octets", maxOutput))
	}
	o.segments = append(o.segments, s)
	o.text = append(o.text, text...)
	return nil
}

// A cursor finds the place in the template of octets of an output, one behind the
// other.
type cursor struct {
	out     *output
	segment int   // that the last octet asked for is in
	offset  int   // of that octet
	at      place // of that octet
}

// place says where in the template the octet at an offset is from. Offsets do not
// go back.
func (c *cursor) place(offset int) place {
	segments := c.out.segments
	if len(segments) == 0 {
		return place{}
	}
	if c.offset == 0 {
		c.at = segments[0].from
	}
	for c.segment+1 < len(segments) && segments[c.segment+1].offset <= offset {
		c.segment++
		c.offset, c.at = segments[c.segment].offset, segments[c.segment].from
	}
	if segments[c.segment].literal {
		end := min(offset, len(c.out.text))
		c.at = c.at.after(c.out.text[c.offset:end])
		c.offset = end
	}
	return c.at
}

func limit(at place, text string) Problem {
	return Problem{Line: at.line, Column: at.column, Rule: RuleLimit, Text: text}
}
