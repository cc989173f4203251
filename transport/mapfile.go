package transport

import (
	"errors"
	"io"

	"github.com/panelmail/panelmail/internal/postmap"
)

// ParseMap reads a transport map as text, in the format of Postfix's
// transport(5) and postmap(1): a pattern, blanks, and a value on a line; a line
// that begins with a blank goes on with the one before; empty lines and lines
// whose first character other than a blank is "#" do not count, not even
// between a line and what goes on with it. A quoted local-part may contain
// blanks.
//
// All problems are reported at once, as joined errors of type [*MapError] which
// name the table and the line; there is no table then. Of two rows with the same
// pattern the first counts and the other is a warning (see [Table.Warnings]).
// A row may have 8 KiB, the text 64 MiB and 1,048,576 rows ([MaxRows]). Of more
// than 100 problems the rest is only counted.
func ParseMap(name string, r io.Reader) (*Table, error) {
	t := &Table{name: name, rows: make(map[string]row)}
	var problems postmap.Problems
	sc := postmap.NewScanner(r, postmap.Limits{Row: maxEntry, Text: maxMap})
	for sc.Scan() {
		pattern, value, err := sc.Row()
		switch {
		case err != nil:
		case value == "":
			err = errNoValue
		default:
			err = t.add(pattern, value, sc.Line())
		}
		if err != nil {
			problems.Add(&MapError{Name: name, Line: sc.Line(), Pattern: pattern, Err: err})
		}
		if errors.Is(err, errTooManyRows) {
			break
		}
	}
	if line, err := sc.Err(); err != nil {
		problems.Add(&MapError{Name: name, Line: line, Err: err})
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return t, nil
}
