package sites

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Limits of an alias file.
const (
	maxAliasFile = 32 << 20       // octets
	maxAliasLine = maxTargets     // octets of a logical line
	maxProblems  = 100            // that are named
	rowsTooMany  = maxEntries + 1 // reading stops there
)

// ParseAliases reads a file of aliases(5), /etc/aliases, or of virtual(5), for
// [Sites.SetAliases]. A line is NAME: TARGET, TARGET … or, where NAME has an @,
// NAME TARGET, TARGET …; a line that begins with a blank continues the one
// before; # begins a comment where a line does. Names and targets may be in
// quotes. name is what errors call the file.
//
// Every line that cannot be stored is named in the error, as name:line, up to a
// hundred of them; then no alias is returned. Commands, files and :include: are
// such lines. A name that comes twice is one too. The file may have 100,000
// aliases, 32 MiB, and 1 MiB in a line with its continuations.
func ParseAliases(name string, r io.Reader) ([]AliasEntry, error) {
	p := aliasParser{name: name, lines: map[string]int{}}
	in := bufio.NewReader(io.LimitReader(r, maxAliasFile+1))
	for {
		text, cut, err := p.readLine(in)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		p.physical(text, cut)
		if p.read > maxAliasFile {
			return nil, fmt.Errorf("%s: longer than %d octets", name, maxAliasFile)
		}
		if err != nil {
			break
		}
	}
	p.logical()
	if p.more > 0 {
		p.problems = append(p.problems, fmt.Errorf("%s: and %d lines more", name, p.more))
	}
	if len(p.problems) > 0 {
		return nil, errors.Join(p.problems...)
	}
	return p.list, nil
}

// An aliasParser holds what was read so far.
type aliasParser struct {
	name     string
	read     int             // octets
	line     int             // physical lines
	first    int             // of the logical line, 0 if there is none
	text     strings.Builder // of the logical line
	tooLong  bool
	list     []AliasEntry
	lines    map[string]int // where a name stands
	problems []error
	more     int
}

// readLine reads a physical line, cut where it is longer than a logical line may
// be.
func (p *aliasParser) readLine(in *bufio.Reader) (text string, cut bool, err error) {
	var b strings.Builder
	for {
		piece, err := in.ReadSlice('\n')
		p.read += len(piece)
		if b.Len()+len(piece) <= maxAliasLine+len("\r\n") {
			b.Write(piece)
		} else {
			cut = true
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return b.String(), cut, err
		}
	}
}

// physical takes a line of the file.
func (p *aliasParser) physical(text string, cut bool) {
	p.line++
	text = strings.TrimRight(text, " \t\r\n")
	start := strings.TrimLeft(text, " \t")
	if start == "" || start[0] == '#' {
		return // also between a line and its continuation
	}
	if p.first == 0 || text[0] != ' ' && text[0] != '\t' {
		p.logical()
		p.first = p.line
	}
	if cut || p.text.Len()+len(text) > maxAliasLine {
		p.tooLong = true
		return
	}
	p.text.WriteString(text)
}

// logical takes the lines that belong together.
func (p *aliasParser) logical() {
	text, line, tooLong := p.text.String(), p.first, p.tooLong
	p.text.Reset()
	p.first, p.tooLong = 0, false
	if line == 0 {
		return
	}
	if len(p.list) >= rowsTooMany {
		return
	}
	if err := p.entry(text, line, tooLong); err != nil {
		if len(p.problems) == maxProblems {
			p.more++
			return
		}
		p.problems = append(p.problems, fmt.Errorf("%s:%d: %w", p.name, line, err))
	}
}

// entry reads NAME: TARGETS.
func (p *aliasParser) entry(text string, line int, tooLong bool) error {
	switch {
	case tooLong:
		return fmt.Errorf("longer than %d octets with its continuations", maxAliasLine)
	case !utf8.ValidString(text):
		return errors.New("not UTF-8")
	case text[0] == ' ' || text[0] == '\t':
		return errors.New("it continues nothing")
	case len(p.list) == maxEntries:
		p.list = append(p.list, AliasEntry{}) // so that reading stops
		return fmt.Errorf("more than %d aliases", maxEntries)
	}
	pattern, rest, err := cutAliasName(text)
	if err != nil {
		return err
	}
	a := AliasEntry{Pattern: pattern}
	if a.Targets, err = SplitTargets(rest); err != nil {
		return err
	}
	row, err := checkAlias(a)
	if err != nil {
		return err
	}
	if before := p.lines[row.key]; before > 0 {
		return fmt.Errorf("alias %q stands in line %d already", row.key, before)
	}
	p.lines[row.key] = line
	a.Pattern = row.key
	p.list = append(p.list, a)
	return nil
}

// cutAliasName cuts the name, whose quotes stay if it needs them, from the
// targets.
func cutAliasName(text string) (name, rest string, err error) {
	end := strings.IndexAny(text, ": \t")
	if text[0] == '"' {
		n := quotedLen(text)
		if n == 0 {
			return "", "", errors.New("a quote is not closed")
		}
		if end = strings.IndexAny(text[n:], ": \t"); end >= 0 {
			end += n
		}
	}
	if end <= 0 {
		return "", "", errors.New("the name is not followed by a colon")
	}
	name, rest = text[:end], strings.TrimLeft(text[end:], " \t")
	if after, colon := strings.CutPrefix(rest, ":"); colon {
		return name, strings.TrimLeft(after, " \t"), nil
	}
	if !strings.Contains(name, "@") {
		return "", "", fmt.Errorf("%q is not followed by a colon", shorten(name))
	}
	return name, rest, nil
}

// quotedLen is the length of the quoted string that s begins with, 0 if it is not
// closed.
func quotedLen(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return 0
}

// SplitTargets splits a list of targets at commas and blanks that are not in
// quotes. A command in quotes is one target, quotes and all, for
// [Sites.SetAlias] to refuse.
func SplitTargets(text string) (targets []string, err error) {
	for {
		text = strings.TrimLeft(text, ", \t")
		if text == "" {
			return targets, nil
		}
		end := 0
		for end < len(text) && strings.IndexByte(", \t", text[end]) < 0 {
			if text[end] != '"' {
				end++
				continue
			}
			n := quotedLen(text[end:])
			if n == 0 {
				return nil, errors.New("a quote is not closed")
			}
			end += n
		}
		targets, text = append(targets, text[:end]), text[end:]
	}
}
