package dnstmpl

import (
	"bytes"
	"slices"
	"strings"
)

// A Zone is records for one DNS zone, in the order in which the template has them.
type Zone struct {
	Name    string // the zone's apex: absolute, in lower case
	Records []Record

	// Shared are the names that hosts say in HELO, and other hosts may have too. [Zone.Diff]
	// takes no addresses from them. It is not in JSON.
	Shared []string
}

// ParseZone reads records from text, under the rules that what a template writes is
// held to. Problems name file. name is the zone. SOA and NS records are allowed, so
// that what a name server has can be read.
func ParseZone(file, name, text string) (Zone, error) {
	d, problems := Data{Zone: name, Provider: everyType()}.checked()
	z := Zone{}
	if len(problems) == 0 {
		out := &output{text: []byte(text), segments: []segment{{0, place{1, 1}, true}}}
		z, problems = readZone(out, d)
	}
	if len(problems) > 0 {
		for i := range problems {
			problems[i].File = file
		}
		return Zone{}, problems
	}
	return z, nil
}

// everyType is a provider that takes all types that there are here.
func everyType() Provider { return Provider{Types: append(DefaultTypes(), "PTR")} }

// String is the zone as text, one record a line, as [Record.String] has it. A name
// server needs SOA and NS records beside them.
func (z Zone) String() string {
	var b strings.Builder
	for _, r := range z.Records {
		b.WriteString(r.String())
		b.WriteByte('\n')
	}
	return b.String()
}

// maxProblems is how many problems are reported at most. Whoever has more has one.
const maxProblems = 100

// readZone makes records of what a template wrote.
func readZone(out *output, d Data) (Zone, Problems) {
	z := Zone{Name: d.Zone + "."}
	for _, h := range d.Hosts {
		if len(h.SPF) > 0 {
			z.Shared = append(z.Shared, h.Name+".")
		}
	}
	r := reader{zone: z.Name, provider: d.Provider}
	cursor := cursor{out: out}
	var problems Problems
	var from []source
	offset := 0
	for raw := range bytes.Lines(out.text) {
		line := strings.TrimRight(string(raw), "\r\n")
		rec, class, bad := r.line(line)
		switch {
		case bad != nil:
			problems = append(problems, bad.problem(cursor.place(offset+bad.offset), line))
		case class == "IN":
			z.Records = append(z.Records, rec)
			from = append(from, source{cursor.place(offset), line})
		}
		offset += len(raw)
		if len(problems) == maxProblems {
			break
		}
	}
	problems = append(problems, together(z, from)...)
	slices.SortStableFunc(problems, func(a, b Problem) int { return a.Line - b.Line })
	z.Records = distinct(z.Records)
	return z, problems[:min(len(problems), maxProblems)]
}

// A source is where a record comes from.
type source struct {
	at   place
	line string
}

func (f *fault) problem(at place, line string) Problem {
	return Problem{Line: at.line, Column: at.column, Rule: f.rule, Text: f.text, Fix: f.fix, Record: line}
}

// distinct leaves out records that are there already: a record set is a set.
func distinct(records []Record) []Record {
	seen := map[Record]bool{}
	return slices.DeleteFunc(records, func(r Record) bool {
		again := seen[r]
		seen[r] = true
		return again
	})
}
