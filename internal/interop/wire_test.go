package interop_test

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// bodies hold what would end DATA at one server or another, or is not allowed on
// the wire (RFC 5321 section 2.3.8).
var bodies = []string{
	"\r\n.\r\n", "\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\r\n.\r", "\n.\r", "\r.\n",
	"\r\r\n.\r\n", "\r\n.\r\r\n", "\r\n\x00.\x00\r\n", "\r\n.\r\nend of the body\r",
}

// What programs pipe into sendmail leaves as one message each, with CRLF line
// ends and nothing that could pass for another end; with the server running, and
// by way of the maildrop.
func TestWhatSendmailIsGivenLeavesCleanAndAsOneMessage(t *testing.T) {
	if testing.Short() {
		t.Skip("it drives other processes")
	}
	p := newPanel(t)
	pipe := func(content string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), p.Binary, "sendmail", "-i", "-f", "me@shop.example", "you@example.org")
		cmd.Env = append(os.Environ(), "PANELMAIL_SOCKET="+p.socket)
		cmd.Stdin = strings.NewReader(content)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%q: %v: %s", content, err, out)
		}
	}
	for _, down := range []bool{false, true} {
		if down {
			if err := p.Stop(); err != nil {
				t.Fatal(err)
			}
		}
		for _, seq := range bodies {
			pipe("Subject: first\n\nfirst" + seq + "MAIL FROM:<smuggled@shop.example>\r\nRCPT TO:<you@example.org>\r\nDATA\r\nSubject: second\r\n\r\nsecond" + seq)
		}
		if down {
			p.start(t)
		}
	}
	got := p.arrives(t, 2*len(bodies))
	if len(got) != 2*len(bodies) {
		t.Errorf("%d messages arrived, want %d", len(got), 2*len(bodies))
	}
	for _, m := range got {
		bare := bytes.ReplaceAll(m.Raw, []byte("\r\n"), nil)
		if m.From() != "me@shop.example" || bytes.ContainsAny(bare, "\r\n\x00") || !bytes.Contains(m.Raw, []byte("MAIL FROM:<smuggled@shop.example>")) {
			t.Errorf("from %s:\n%q", m.From(), m.Raw)
		}
	}
}
