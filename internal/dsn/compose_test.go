package dsn_test

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	. "github.com/panelmail/panelmail/internal/dsn"
)

var update = flag.Bool("update", false, "rewrite the files in testdata")

var (
	arrived = time.Date(2026, 3, 7, 9, 5, 1, 0, time.UTC)
	now     = arrived.Add(2 * time.Hour)
)

const message = "Received: by mx.panel.test id 3kTq9; Sat, 7 Mar 2026 09:05:01 +0000\r\n" +
	"From: alice@customer.test\r\nTo: bob@example.test\r\nSubject: hello\r\nMessage-ID: <1@customer.test>\r\n" +
	"\r\nHello Bob.\r\n"

// bounce is a report of failure with everything told.
func bounce() Report {
	return Report{
		Kind: Failed, ID: "7mWx2", Host: "mx.panel.test", Time: now, To: "alice@customer.test",
		QueueID: "3kTq9", ReversePath: "alice@customer.test", EnvID: "order 17", Arrived: arrived,
		Recipients: []Recipient{{
			Address: "bob@example.test", Original: "rfc822;Bob@example.test", Status: "5.1.1",
			Diagnostic: "550 5.1.1 <bob@example.test>: Recipient address rejected: User unknown",
			RemoteMTA:  "mx1.example.test", RemoteAddr: "192.0.2.25", LastAttempt: now,
		}},
		Content: strings.NewReader(message),
	}
}

// compose composes a report that has to be fit to send.
func compose(t *testing.T, r Report) string {
	t.Helper()
	b, err := Compose(r)
	if err != nil {
		t.Fatal(err)
	}
	checkFit(t, b)
	return string(b)
}

// checkFit checks what holds for every report, whatever it tells.
func checkFit(t *testing.T, b []byte) {
	t.Helper()
	if bytes.IndexByte(b, 0) >= 0 {
		t.Error("there is a NUL")
	}
	for line := range bytes.Lines(b) {
		text, ok := bytes.CutSuffix(line, []byte("\r\n"))
		if !ok || bytes.IndexByte(text, '\r') >= 0 {
			t.Errorf("line ends otherwise than in CRLF: %.80q", line)
		}
		if len(text) > 998 {
			t.Errorf("a line has %d octets: %.80q", len(text), line)
		}
	}
}

// TestReportsReadAsInTheFiles compares whole reports with testdata; run it with
// -update to write them anew, and then read them.
func TestReportsReadAsInTheFiles(t *testing.T) {
	expired := bounce()
	expired.Recipients = []Recipient{
		{
			Address: "bob@example.test", Status: "4.4.1", LastAttempt: now,
			Diagnostic: "connect to mx1.example.test[192.0.2.25]:25: connection refused",
		},
		{
			Address: "carol@example.test", Original: "rfc822;sales@customer.test", Status: "4.2.2", RemoteMTA: "mx2.example.test",
			Diagnostic: "452-4.2.2 The mailbox is full\n452 4.2.2 try again later",
		},
	}
	expired.HeadersOnly = true

	delayed := bounce()
	delayed.Kind, delayed.RetryUntil, delayed.EnvID = Delayed, arrived.Add(5*24*time.Hour), ""
	delayed.Recipients[0].Status = "4.7.1"
	delayed.Recipients[0].Diagnostic = "451 4.7.1 Greylisted, please come back in 300 seconds"

	delivered := bounce()
	delivered.Kind = Delivered
	delivered.Recipients[0].Status, delivered.Recipients[0].Diagnostic = "2.0.0", "250 2.0.0 Ok: queued as 4711"
	delivered.Recipients = append(delivered.Recipients, Recipient{
		Address: "list@customer.test", Action: Expanded, Status: "2.0.0", Diagnostic: "expanded to 3 recipients",
	})

	relayed := bounce()
	relayed.Kind = Relayed
	relayed.Recipients[0].Status, relayed.Recipients[0].Diagnostic = "2.0.0", "250 Ok"

	international := bounce()
	international.To, international.ReversePath, international.UTF8 = "jörg@bücher.test", "jörg@bücher.test", true
	international.Recipients[0].Address, international.Recipients[0].Original = "用户@例子.test", "utf-8;用户@例子.test"
	international.Content = strings.NewReader("From: jörg@bücher.test\r\nSubject: Grüße\r\n\r\nHällo\r\n")

	for name, r := range map[string]Report{
		"failed": bounce(), "expired": expired, "delayed": delayed, "delivered": delivered, "relayed": relayed,
		"international": international,
	} {
		t.Run(name, func(t *testing.T) {
			got := strings.ReplaceAll(compose(t, r), "\r\n", "\n")
			file := filepath.Join("testdata", name+".eml")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheSameReportIsTheSameOctets(t *testing.T) {
	if first, second := compose(t, bounce()), compose(t, bounce()); first != second {
		t.Error(cmp.Diff(first, second))
	}
}

func TestComposeTellsEverythingThatIsMissing(t *testing.T) {
	_, err := Compose(Report{})
	if err == nil {
		t.Fatal("no error")
	}
	for _, what := range []string{"kind", "queue ID", "host name", "time", "recipients", "address to report to"} {
		if !strings.Contains(err.Error(), what) {
			t.Errorf("%q does not mention the %s", err, what)
		}
	}
	r := bounce()
	r.Kind = Expanded
	if _, err := Compose(r); err == nil {
		t.Error("a report cannot be of kind expanded")
	}
}

func TestComposeReturnsTheErrorOfTheContent(t *testing.T) {
	broken := errors.New("broken")
	for _, before := range []string{"", "From: x\r\n", message} {
		r := bounce()
		r.Content = io.MultiReader(strings.NewReader(before), iotest.ErrReader(broken))
		if _, err := Compose(r); !errors.Is(err, broken) {
			t.Errorf("after %d octets: %v", len(before), err)
		}
	}
}

func FuzzCompose(f *testing.F) {
	f.Add("failed", "a@x", "bob@example.test", "rfc822;b@x", "5.1.1", "550 5.1.1 no", "mx", []byte(message), false)
	f.Add("delayed", "ü@bücher.test", "ü@x", "utf-8;ü@x", "4.0.0", "\x00\xff\r\n.\r\n", "", []byte("Subject: \xff\r\n\r\n\xff"), true)
	f.Add("failed", "postmaster", "a> b@x", "x", "9.9.9", "", "h\r\nEvil: 1", []byte("--=_7mWx2.1772877901--"), true)
	f.Add("relayed", `"x> Y"@l`, "", ";", "2.1.1.1", "AUTH PLAIN AGEAYg==", "", bytes.Repeat([]byte("x"), 3000), false)
	f.Fuzz(func(t *testing.T, kind, to, rcpt, original, status, diagnostic, remote string, content []byte, utf8 bool) {
		r := Report{
			Kind: Kind(kind), ID: "7mWx2", Host: "mx.panel.test", Time: now, To: to, From: to, ReversePath: to,
			QueueID: diagnostic, EnvID: diagnostic, UTF8: utf8, RetryUntil: now, Content: bytes.NewReader(content),
			Recipients: []Recipient{{
				Address: rcpt, Original: original, Status: status, Diagnostic: diagnostic, RemoteMTA: remote, RemoteAddr: remote,
			}},
		}
		b, err := Compose(r)
		if err != nil {
			return
		}
		checkFit(t, b)
		m := parse(t, b)
		if len(m.recipients) != 1 || len(m.header["Subject"]) != 1 || m.header.Get("Evil") != "" {
			t.Fatalf("reads as %+v", m)
		}
	})
}
