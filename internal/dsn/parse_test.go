package dsn_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	. "github.com/panelmail/panelmail/internal/dsn"
)

// parsed is a report as another program reads it.
type parsed struct {
	header     textproto.MIMEHeader
	parts      []parsedPart
	message    textproto.MIMEHeader   // the fields of the status part about the message
	recipients []textproto.MIMEHeader // and those about each recipient
}

type parsedPart struct {
	Type, Encoding, Body string
}

// parse reads a report with the standard library alone and checks that it is a
// well-formed multipart/report whose encodings are true.
func parse(t *testing.T, b []byte) parsed {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("%v in\n%q", err, b)
	}
	p := parsed{header: textproto.MIMEHeader(m.Header)}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" || params["report-type"] != "delivery-status" {
		t.Fatalf("Content-Type %q: %v", m.Header.Get("Content-Type"), err)
	}
	eight := false
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		raw, err := r.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%q", err, b)
		}
		body, err := io.ReadAll(raw)
		if err != nil {
			t.Fatal(err)
		}
		p.parts = append(p.parts, parsedPart{raw.Header.Get("Content-Type"), raw.Header.Get("Content-Transfer-Encoding"), string(body)})
		eight = eight || has8bit(string(body))
		if got, want := raw.Header.Get("Content-Transfer-Encoding"), encodingOf(has8bit(string(body))); got != want {
			t.Errorf("part %d says %s, is %s", len(p.parts), got, want)
		}
	}
	if got, want := m.Header.Get("Content-Transfer-Encoding"), encodingOf(eight); got != want {
		t.Errorf("report says %s, is %s", got, want)
	}
	if len(p.parts) < 2 || len(p.parts) > 3 {
		t.Fatalf("%d parts", len(p.parts))
	}
	p.readStatus(t)
	return p
}

// readStatus reads the groups of fields in the second part.
func (p *parsed) readStatus(t *testing.T) {
	t.Helper()
	r := textproto.NewReader(bufio.NewReader(strings.NewReader(p.parts[1].Body)))
	var err error
	if p.message, err = r.ReadMIMEHeader(); err != nil {
		t.Fatalf("%v in\n%q", err, p.parts[1].Body)
	}
	for err == nil {
		var fields textproto.MIMEHeader
		if fields, err = r.ReadMIMEHeader(); len(fields) > 0 {
			p.recipients = append(p.recipients, fields)
		}
	}
	if err != io.EOF {
		t.Fatalf("%v in\n%q", err, p.parts[1].Body)
	}
}

func has8bit(s string) bool { return strings.ContainsFunc(s, func(r rune) bool { return r > 0x7f }) }

func encodingOf(eight bool) string {
	if eight {
		return "8bit"
	}
	return "7bit"
}

func TestOtherProgramsReadTheReport(t *testing.T) {
	p := parse(t, []byte(compose(t, bounce())))
	for name, want := range map[string]string{
		"From":           "Mail Delivery System <MAILER-DAEMON@mx.panel.test>",
		"To":             "alice@customer.test",
		"Auto-Submitted": "auto-replied",
		"Message-Id":     "<7mWx2@mx.panel.test>",
		"In-Reply-To":    "<1@customer.test>",
		"References":     "<1@customer.test>",
		"Date":           "Sat, 7 Mar 2026 11:05:01 +0000",
		"Mime-Version":   "1.0",
	} {
		if got := p.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if p.header.Get("Received") == "" {
		t.Error("no trace field")
	}
	wantMessage := textproto.MIMEHeader{
		"Reporting-Mta":        {"dns; mx.panel.test"},
		"Original-Envelope-Id": {"order 17"},
		"X-Panelmail-Queue-Id": {"3kTq9"},
		"X-Panelmail-Sender":   {"rfc822; alice@customer.test"},
		"Arrival-Date":         {"Sat, 7 Mar 2026 09:05:01 +0000"},
	}
	if diff := cmp.Diff(wantMessage, p.message); diff != "" {
		t.Errorf("message fields (-want +got):\n%s", diff)
	}
	wantRecipients := []textproto.MIMEHeader{{
		"Original-Recipient": {"rfc822; Bob@example.test"},
		"Final-Recipient":    {"rfc822; bob@example.test"},
		"Action":             {"failed"},
		"Status":             {"5.1.1"},
		"Remote-Mta":         {"dns; mx1.example.test"},
		"Diagnostic-Code":    {"smtp; 550 5.1.1 <bob@example.test>: Recipient address rejected: User unknown"},
		"Last-Attempt-Date":  {"Sat, 7 Mar 2026 11:05:01 +0000"},
	}}
	if diff := cmp.Diff(wantRecipients, p.recipients); diff != "" {
		t.Errorf("recipient fields (-want +got):\n%s", diff)
	}
	want := parsedPart{"message/rfc822", "7bit", "Return-Path: <alice@customer.test>\r\n" + message}
	if diff := cmp.Diff(want, p.parts[2]); diff != "" {
		t.Errorf("returned message (-want +got):\n%s", diff)
	}
}

func TestRecipientFieldsTellWhoSaidWhat(t *testing.T) {
	for _, tt := range []struct {
		name  string
		rcpt  Recipient
		kind  Kind
		field string
		want  string
	}{
		{"remote reply of several lines", Recipient{Diagnostic: "550-5.1.1 no\n550 5.1.1 body\n", RemoteMTA: "mx"}, Failed, "Diagnostic-Code", "smtp; 550-5.1.1 no 550 5.1.1 body"},
		{"our own reason", Recipient{Diagnostic: "connection refused"}, Failed, "Diagnostic-Code", "X-Panelmail; connection refused"},
		{"our own reason names no host", Recipient{Diagnostic: "connection refused"}, Failed, "Remote-Mta", ""},
		{"no reason", Recipient{}, Failed, "Diagnostic-Code", ""},
		{"8-bit reply", Recipient{Diagnostic: "550 utilis\xe9 ü", RemoteMTA: "mx"}, Failed, "Diagnostic-Code", `smtp; 550 utilis\xE9 \xC3\xBC`},
		{"controls in a reply", Recipient{Diagnostic: "550 a\x1b[31m\x00\rb", RemoteMTA: "mx"}, Failed, "Diagnostic-Code", `smtp; 550 a\x1B[31m\x00 b`},
		{"fields in a reply", Recipient{Diagnostic: "550 a\r\nAction: delivered", RemoteMTA: "mx"}, Failed, "Action", "failed"},
		{"fields in a host name", Recipient{RemoteMTA: "mx\r\nAction: delivered"}, Failed, "Remote-Mta", `dns; mx\x0D Action: delivered`},
		{"expired mail keeps its status", Recipient{Status: "4.4.1"}, Failed, "Status", "4.4.1"},
		{"no status", Recipient{}, Failed, "Status", "5.0.0"},
		{"no status of a delay", Recipient{}, Delayed, "Status", "4.0.0"},
		{"no status of a delivery", Recipient{}, Relayed, "Status", "2.0.0"},
		{"status of no class", Recipient{Status: "3.1.1"}, Failed, "Status", "5.0.0"},
		{"status with too many digits", Recipient{Status: "5.1.1000"}, Failed, "Status", "5.0.0"},
		{"status with a zero in front", Recipient{Status: "5.01.1"}, Failed, "Status", "5.0.0"},
		{"status with text", Recipient{Status: "5.1.1 x"}, Failed, "Status", "5.0.0"},
		{"status of two parts", Recipient{Status: "5.1"}, Failed, "Status", "5.0.0"},
		{"own action", Recipient{Action: Relayed}, Delivered, "Action", "relayed"},
		{"original given without type", Recipient{Original: "sales@x"}, Failed, "Original-Recipient", "rfc822; sales@x"},
		{"no original", Recipient{}, Failed, "Original-Recipient", "rfc822; bob@example.test"},
		{"original of another type", Recipient{Original: "x400;/C=de/ü\n"}, Failed, "Original-Recipient", "x400; /C=de/+C3+BC+0A"},
		{"original with controls", Recipient{Original: "rfc822;a\r\nAction: x@y"}, Failed, "Original-Recipient", "rfc822; a+0D+0AAction: x@y"},
		{"original in UTF-8", Recipient{Original: "utf-8;ü@x"}, Failed, "Original-Recipient", "utf-8; ü@x"},
		{"original in UTF-8, type wrong", Recipient{Original: "rfc822;ü@x"}, Failed, "Original-Recipient", "utf-8; ü@x"},
		{"original in no encoding", Recipient{Original: "rfc822;\xff@x"}, Failed, "Original-Recipient", "rfc822; +FF@x"},
		{"semicolon in a quoted local-part", Recipient{Original: `"a;b"@x`}, Failed, "Original-Recipient", `rfc822; "a;b"@x`},
	} {
		r := bounce()
		r.Kind = tt.kind
		tt.rcpt.Address = "bob@example.test"
		r.Recipients = []Recipient{tt.rcpt}
		p := parse(t, []byte(compose(t, r)))
		if got := p.recipients[0].Get(tt.field); got != tt.want {
			t.Errorf("%s: %s is %q, want %q", tt.name, tt.field, got, tt.want)
		}
	}
}

func TestOnlyADelayedReportSaysHowLong(t *testing.T) {
	until := arrived.Add(5 * 24 * time.Hour)
	for kind, want := range map[Kind]string{Delayed: "Thu, 12 Mar 2026 09:05:01 +0000", Failed: "", Delivered: ""} {
		r := bounce()
		r.Kind, r.RetryUntil = kind, until
		p := parse(t, []byte(compose(t, r)))
		if got := p.recipients[0].Get("Will-Retry-Until"); got != want {
			t.Errorf("%s: %q, want %q", kind, got, want)
		}
		if inText := strings.Contains(p.parts[0].Body, "12 Mar"); inText != (want != "") {
			t.Errorf("%s: the text says\n%s", kind, p.parts[0].Body)
		}
	}
}

func TestALongReplyIsCutAndFolded(t *testing.T) {
	r := bounce()
	r.Recipients[0].Diagnostic = "550 " + strings.Repeat("x", 1500) + strings.Repeat(" word", 1000)
	p := parse(t, []byte(compose(t, r)))
	if got := p.recipients[0].Get("Diagnostic-Code"); len(got) > 2100 || !strings.HasSuffix(got, "...") {
		t.Errorf("%d octets", len(got))
	}
}

func TestCredentialsThatAServerRepeatsAreMasked(t *testing.T) {
	secret := base64.StdEncoding.EncodeToString([]byte("\x00alice\x00correct horse"))
	for _, diagnostic := range []string{
		"500 5.5.1 unrecognized command: AUTH PLAIN " + secret,
		"500 unrecognized \"auth LOGIN " + secret + "\".",
		"535 5.7.8 <AUTH PLAIN " + secret + ">",
	} {
		r := bounce()
		r.Recipients[0].Diagnostic = diagnostic
		if got := compose(t, r); strings.Contains(got, secret) || !strings.Contains(got, "***") {
			t.Errorf("%q is repeated in\n%s", diagnostic, got)
		}
	}
}

func TestTheReporterCanBeAnother(t *testing.T) {
	r := bounce()
	r.From, r.To = "bounces@bücher.test", "postmaster"
	p := parse(t, []byte(compose(t, r)))
	if got, want := p.header.Get("From"), "Mail Delivery System <bounces@xn--bcher-kva.test>"; got != want {
		t.Errorf("From: %q, want %q", got, want)
	}
	if got, want := p.header.Get("To"), "postmaster@mx.panel.test"; got != want {
		t.Errorf("To: %q, want %q", got, want)
	}
}

func TestNeedsUTF8AsksOnlyForAddressesInTheHeader(t *testing.T) {
	for _, tt := range []struct {
		to   string
		want bool
	}{
		{"alice@customer.test", false},
		{"alice@bücher.test", false},
		{"jörg@bücher.test", true},
	} {
		r := bounce()
		r.To, r.UTF8 = tt.to, true
		r.Recipients[0].Address = "ü@x.test"
		if got := r.NeedsUTF8(); got != tt.want {
			t.Errorf("%s: %v", tt.to, got)
		}
		head, _, _ := strings.Cut(compose(t, r), "\r\n\r\n")
		if has8bit(head) != tt.want {
			t.Errorf("%s: header\n%s", tt.to, head)
		}
	}
}
