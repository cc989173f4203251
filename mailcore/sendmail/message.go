package sendmail

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/panelmail/panelmail/internal/address"
	"github.com/panelmail/panelmail/internal/rfc5322"
)

// submissionField names the submission: a message that went to the maildrop after
// an answer was lost has the same one as the message the server may have stored.
// The server takes the field away; it does not look for repeats yet.
const submissionField = "X-Panelmail-Submission"

// A message is what was read from standard input, with its envelope.
type message struct {
	submission string
	from       string // "" is the null reverse-path
	to         []string
	notify     string
	ret        string
	envID      string
	spool      spool // header and body, in CRLF lines
}

// headerWindow is how much of the message is looked at together: the longest
// name of a field, and where Bcc is searched for behind a broken header.
const headerWindow = 64 << 10

// read reads the message from stdin to its end. Its Bcc fields go, whatever the
// options. to are the recipients of the command line.
func (m *message) read(c command, origin string, stdin io.Reader) error {
	var content io.Reader = rfc5322.NewCleaner(stdin, rfc5322.Lenient)
	if !c.dots {
		content = &untilDot{r: bufio.NewReader(content)}
	}
	body := bufio.NewReaderSize(content, headerWindow)
	h, err := rfc5322.ReadHeader(body, rfc5322.Limits{})
	if err != nil {
		if errors.Is(err, rfc5322.ErrTooLarge) || errors.Is(err, rfc5322.ErrTooManyFields) {
			return failf(ExitData, "%v", err)
		}
		return failf(ExitIO, "reading the message: %v", err)
	}
	if errors.Is(h.Malformed(), rfc5322.ErrNoSeparator) && hidesBcc(body) {
		return failf(ExitData, "a Bcc field stands behind a line that is no header field")
	}
	if c.fromHeader {
		if err := m.addHeaderRecipients(h, origin); err != nil {
			return err
		}
	}
	m.submission = rand.Text()
	if err := m.edit(h, c.fullName); err != nil {
		return failf(ExitSoftware, "adding fields: %v", err)
	}
	if _, err := m.spool.Write(h.Bytes()); err != nil {
		return failf(ExitIO, "keeping the message: %v", err)
	}
	if _, err := io.CopyBuffer(&m.spool, onlyReader{body}, make([]byte, 32<<10)); err != nil {
		return failf(ExitIO, "reading the message: %v", err)
	}
	return nil
}

// onlyReader hides what else a reader can do, so that the copy goes through the
// buffer given.
type onlyReader struct{ io.Reader }

// addHeaderRecipients adds the recipients named in the header: those of the
// Resent fields if there are any (RFC 5322 section 3.6.6).
func (m *message) addHeaderRecipients(h *rfc5322.Header, origin string) error {
	names := []string{"To", "Cc", "Bcc"}
	if resent := []string{"Resent-To", "Resent-Cc", "Resent-Bcc"}; slices.ContainsFunc(resent, h.Has) {
		names = resent
	}
	for f := range h.Fields() {
		if !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, f.Name()) }) {
			continue
		}
		if err := m.addRecipients(f.Name(), f.Value(), origin); err != nil {
			return err
		}
	}
	return nil
}

// addRecipients adds the addresses of a list. where is for people.
func (m *message) addRecipients(where, list, origin string) error {
	specs, err := parseList(list)
	if err != nil {
		return failf(ExitData, "%s: %v", where, err)
	}
	for _, spec := range specs {
		to, err := complete(spec, origin)
		if err != nil {
			return failf(ExitData, "%s: %q: %v", where, spec, err)
		}
		if !slices.ContainsFunc(m.to, func(other string) bool { return same(to, other) }) {
			m.to = append(m.to, to)
		}
	}
	return nil
}

// same reports whether two addresses are one mailbox: the case of the local-part
// is its host's business (RFC 5321 section 2.4).
func same(a, b string) bool {
	i, j := strings.LastIndexByte(a, '@'), strings.LastIndexByte(b, '@')
	return i == j && a[:i] == b[:j] && strings.EqualFold(a[i:], b[j:])
}

// edit takes away what must not leave and adds what is ours to add.
func (m *message) edit(h *rfc5322.Header, fullName string) error {
	for _, name := range []string{"Bcc", "Resent-Bcc", submissionField} {
		h.Del(name)
	}
	add := []byte(submissionField + ": " + m.submission + "\r\n")
	if from, err := address.Parse(m.from); fullName != "" && err == nil && !h.Has("From") {
		add = append(add, rfc5322.Mailbox("From", fullName, from)...)
	}
	return h.Prepend(add)
}

// hidesBcc reports whether there is a Bcc field between the line that broke off
// the header and the empty line that was meant to end it.
func hidesBcc(body *bufio.Reader) bool {
	ahead, _ := body.Peek(headerWindow)
	for line := range bytes.Lines(ahead) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			return false
		}
		name, _, _ := bytes.Cut(line, []byte(":"))
		switch name := bytes.TrimSpace(name); {
		case bytes.EqualFold(name, []byte("Bcc")), bytes.EqualFold(name, []byte("Resent-Bcc")):
			return true
		}
	}
	return false
}

// untilDot ends at a line with nothing but a dot, which it reads away. Lines are
// those of a Cleaner.
type untilDot struct {
	r    *bufio.Reader
	line []byte // what is left of the line read last; part of the buffer of r
	mid  bool   // the next read goes on with a line too long for the buffer
	err  error
}

// Read implements [io.Reader].
func (u *untilDot) Read(p []byte) (int, error) {
	for len(u.line) == 0 {
		if u.err != nil {
			return 0, u.err
		}
		line, err := u.r.ReadSlice('\n')
		if !u.mid && string(line) == ".\r\n" {
			u.err = io.EOF
			continue
		}
		u.line, u.mid = line, err == bufio.ErrBufferFull
		if err != nil && !u.mid {
			u.err = err
		}
	}
	n := copy(p, u.line)
	u.line = u.line[n:]
	return n, nil
}
