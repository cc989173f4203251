package sendmail

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/panelmail/panelmail/internal/address"
	"github.com/panelmail/panelmail/internal/rfc5322"
)

// FuzzMessageLeavesCleanAndWithoutBcc feeds anything to the reader with -t: what
// is accepted has clean line ends, no Bcc and no forged submission in its
// header, and addresses for recipients.
func FuzzMessageLeavesCleanAndWithoutBcc(f *testing.F) {
	for _, seed := range []string{
		"To: a@x.example\nBcc: b@x.example\n\nbody\n", "Bcc : b\r\n c\r\r\nTo: a\n\n.\n", "Resent-Bcc: a@b\nBcc: c@d\n\n",
		"To: a\njunk\nBcc: b\n\n", "X-Panelmail-Submission: x\nTo: a\n", "From x\nBcc: a\n\n", " Bcc: a\n", "\x00B\x00cc: a\n\n", "bcc:a\rTo:b\r\r",
	} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, stdin []byte, dots bool) {
		m := message{from: "s@x.example"}
		defer m.spool.close()
		if err := m.read(command{fromHeader: true, dots: dots, fullName: "N"}, "host.example", bytes.NewReader(stdin)); err != nil {
			return
		}
		for _, to := range m.to {
			if a, err := address.Parse(to); err != nil || a.String() != to {
				t.Errorf("recipient %q: %v", to, err)
			}
		}
		text, err := io.ReadAll(m.spool.content())
		if err != nil || int64(len(text)) != m.spool.size {
			t.Fatalf("%d octets of %d, %v", len(text), m.spool.size, err)
		}
		clean, err := io.ReadAll(rfc5322.NewCleaner(bytes.NewReader(text), rfc5322.Strict))
		if err != nil || !bytes.Equal(clean, text) {
			t.Errorf("content is not clean: %q, %v", text, err)
		}
		h, err := rfc5322.ReadHeader(bufio.NewReaderSize(bytes.NewReader(text), headerWindow), rfc5322.Limits{Octets: 1 << 20, Fields: 1 << 16})
		if err != nil || h.Has("Bcc") || h.Has("Resent-Bcc") || h.Count(submissionField) != 1 || h.Count("From") == 0 {
			t.Errorf("header is %q, %v", h.Bytes(), err)
		}
	})
}

func TestALongLineGoesThroughTheDotReaderUnchanged(t *testing.T) {
	long := strings.Repeat("x", 10_000)
	for _, row := range []struct{ in, want string }{
		{long + ".\r\n.\r\nrest", long + ".\r\n"},
		{long + "\r\n..\r\n", long + "\r\n..\r\n"},
		{strings.Repeat("x", 4096) + ".\r\ny\r\n", strings.Repeat("x", 4096) + ".\r\ny\r\n"},
		{".\r\n", ""},
		{"", ""},
	} {
		got, err := io.ReadAll(&untilDot{r: bufio.NewReader(strings.NewReader(row.in))})
		if err != nil || string(got) != row.want {
			t.Errorf("%.20q…: %d octets, %v; want %d", row.in, len(got), err, len(row.want))
		}
	}
}
