package dkim

import (
	"io"
	"slices"
	"strings"
)

// oversigned are the fields that must not be added after signing.
var oversigned = [...]string{
	"From", "Subject", "To", "Cc", "Reply-To", "Date", "Message-ID",
	"MIME-Version", "Content-Type", "Content-Transfer-Encoding",
}

// signedIfThere are fields that a later hop may add with good reason.
var signedIfThere = [...]string{
	"Sender", "In-Reply-To", "References",
	"List-Id", "List-Help", "List-Unsubscribe", "List-Unsubscribe-Post",
	"List-Subscribe", "List-Post", "List-Owner", "List-Archive",
	"Resent-From", "Resent-Sender", "Resent-To", "Resent-Cc", "Resent-Date", "Resent-Message-ID",
}

// maxSigned is the greatest length of h=, in octets: it is not folded, and a line has
// 998 (RFC 5322 section 2.1.1).
const maxSigned = 990

// signedFields is the list of names for h=. A field that is there n times is named n
// times, and those that must not be added once more.
func (m *message) signedFields() ([]string, error) {
	var names []string
	size := 0
	add := func(name string, n int) {
		for range n {
			names = append(names, name)
			size += len(name) + 1
		}
	}
	for _, name := range oversigned {
		add(name, m.header.Count(name)+1)
	}
	for _, name := range signedIfThere {
		add(name, m.header.Count(name))
	}
	if size > maxSigned {
		return nil, ErrRepeated
	}
	return names, nil
}

// writeSigned writes the message as far as a signature over these names depends on it.
// Fields are unfolded, as relaxed canonicalization does (RFC 6376 section 3.4.2): the
// library needs quadratic time for folded ones.
func (m *message) writeSigned(w io.Writer, names []string) error {
	var head []byte
	for f := range m.header.Fields() {
		own := f.Name()
		if slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, own) }) {
			head = append(head, own+":"+f.Value()+"\r\n"...)
		}
	}
	if _, err := w.Write(append(head, "\r\n"...)); err != nil {
		return err
	}
	_, err := io.Copy(w, m.body)
	return refused(err)
}
