package maildrop

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

const magic = "panelmail-maildrop 1"

// Limits of a file's envelope.
const (
	maxLine       = 1024   // octets
	maxRecipients = 10_000 // lines
)

// An Envelope is what stands above the content in a file. Addresses are as on
// the wire, without brackets; parameters as in RFC 3461, not encoded.
type Envelope struct {
	Submission string   // printable ASCII without blanks
	From       string   // "" is the null reverse-path
	To         []string // at least one
	Notify     string   // "NEVER", or a list such as "SUCCESS,FAILURE"; "" is none
	Ret        string   // "FULL", "HDRS" or ""
	EnvID      string   // "" is none
	Size       int64    // octets of content
}

var errFormat = errors.New("malformed maildrop file")

// header is the envelope as text with the empty line below it.
func (e Envelope) header() (string, error) {
	if len(e.To) == 0 || len(e.To) > maxRecipients {
		return "", fmt.Errorf("%d recipients: at least 1 and at most %d", len(e.To), maxRecipients)
	}
	var b strings.Builder
	b.WriteString(magic + "\n")
	var errs []error
	line := func(key, value string) {
		if value == "" {
			return
		}
		if !printable(value) || len(value) > maxLine-16 {
			errs = append(errs, fmt.Errorf("%s: too long, or with control characters", key))
			return
		}
		fmt.Fprintf(&b, "%s %s\n", key, value)
	}
	line("submission", e.Submission)
	from := e.From
	if from == "" {
		from = "<>"
	}
	line("from", from)
	for _, to := range e.To {
		line("to", to)
	}
	line("notify", e.Notify)
	line("ret", e.Ret)
	line("envid", e.EnvID)
	line("size", strconv.FormatInt(e.Size, 10))
	b.WriteString("\n")
	return b.String(), errors.Join(errs...)
}

// readHeader reads an envelope up to and including the empty line, and says how
// many octets that was.
func readHeader(r *bufio.Reader) (e Envelope, n int64, err error) {
	e.Size = -1
	for first := true; ; first = false {
		text, err := r.ReadSlice('\n')
		switch {
		case err != nil && err != io.EOF && err != bufio.ErrBufferFull:
			return e, n, err
		case err != nil || len(text) > maxLine:
			return e, n, errFormat
		}
		n += int64(len(text))
		line := string(text[:len(text)-1])
		switch {
		case first && line == magic:
			continue
		case first || !printable(line):
			return e, n, errFormat
		case line != "":
			if err := e.set(line); err != nil {
				return e, n, err
			}
			continue
		case len(e.To) == 0 || e.From == "" || e.Size < 0:
			return e, n, errFormat
		}
		if e.From == "<>" {
			e.From = ""
		}
		return e, n, nil
	}
}

// set takes one line.
func (e *Envelope) set(line string) error {
	key, value, _ := strings.Cut(line, " ")
	if value == "" {
		return errFormat
	}
	if key == "to" {
		if e.To = append(e.To, value); len(e.To) > maxRecipients {
			return errFormat
		}
		return nil
	}
	if key == "size" {
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < 0 || e.Size >= 0 {
			return errFormat
		}
		e.Size = n
		return nil
	}
	field := map[string]*string{
		"submission": &e.Submission, "from": &e.From, "notify": &e.Notify, "ret": &e.Ret, "envid": &e.EnvID,
	}[key]
	if field == nil || *field != "" {
		return errFormat
	}
	*field = value
	return nil
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' })
}

// exact reads n octets of content and fails if there are fewer.
type exact struct {
	r io.Reader
	n int64
}

// Read implements [io.Reader].
func (x *exact) Read(p []byte) (int, error) {
	if x.n == 0 {
		return 0, io.EOF
	}
	n, err := x.r.Read(p[:min(int64(len(p)), x.n)])
	x.n -= int64(n)
	if err == io.EOF && x.n > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
