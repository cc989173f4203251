package dsn_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	. "github.com/panelmail/panelmail/internal/dsn"
)

func TestWhatIsReturnedOfTheMessage(t *testing.T) {
	const (
		whole   = "message/rfc822"
		headers = "text/rfc822-headers"
		path    = "Return-Path: <alice@customer.test>\r\n"
	)
	size := func(n int) string { // a message of n octets
		const head, tail = "A: 1\r\n\r\n", "\r\n"
		line := strings.Repeat("x", 62) + "\r\n"
		body := strings.Repeat(line, n/len(line)+1)[:n-len(head)-len(tail)]
		return head + strings.TrimRight(body, "\r\n") + strings.Repeat("y", len(body)-len(strings.TrimRight(body, "\r\n"))) + tail
	}
	for _, tt := range []struct {
		name, content string
		headersOnly   bool
		limit         int
		want          parsedPart
	}{
		{"all", "A: 1\r\n\r\nx\r\n", false, 0, parsedPart{whole, "7bit", path + "A: 1\r\n\r\nx\r\n"}},
		{"header on request", "A: 1\r\n\r\nx\r\n", true, 0, parsedPart{headers, "7bit", path + "A: 1\r\n"}},
		{"at the limit", size(50_000), false, 0, parsedPart{whole, "7bit", path + size(50_000)}},
		{"above the limit", size(50_001), false, 0, parsedPart{headers, "7bit", path + "A: 1\r\n"}},
		{"above its own limit", size(1001), false, 1000, parsedPart{headers, "7bit", path + "A: 1\r\n"}},
		{"header above the limit", "A: 1\r\nB: 23\r\n\r\n", false, 10, parsedPart{headers, "7bit", path + "A: 1\r\n"}},
		{"8-bit body", "A: 1\r\n\r\nü\r\n", false, 0, parsedPart{whole, "8bit", path + "A: 1\r\n\r\nü\r\n"}},
		{"8-bit body, header only", "A: 1\r\n\r\nü\r\n", true, 0, parsedPart{headers, "7bit", path + "A: 1\r\n"}},
		{"8-bit header without SMTPUTF8", "A: ü\r\n\r\nx\r\n", false, 0, parsedPart{whole, "8bit", path + "A: ü\r\n\r\nx\r\n"}},
		{"no blank line", "A: 1\r\nbody\r\n", false, 0, parsedPart{whole, "7bit", path + "A: 1\r\n\r\nbody\r\n"}},
		{"nothing", "", false, 0, parsedPart{whole, "7bit", path + "\r\n"}},
		{"unclean", "A: 1\n\nx\r\x00y", false, 0, parsedPart{whole, "7bit", path + "A: 1\r\n\r\nx\r\ny\r\n"}},
		{"its own Return-Path", "Return-Path: <x>\r\nA: 1\r\n\r\nx\r\n", false, 0, parsedPart{whole, "7bit", path + "A: 1\r\n\r\nx\r\n"}},
		{"longest line", "A: 1\r\n\r\n" + strings.Repeat("x", 998) + "\r\n", false, 0, parsedPart{whole, "7bit", path + "A: 1\r\n\r\n" + strings.Repeat("x", 998) + "\r\n"}},
		{"line too long", "A: 1\r\n\r\n" + strings.Repeat("x", 999) + "\r\n", false, 0, parsedPart{headers, "7bit", path + "A: 1\r\n"}},
		{"long field with blanks", "A:" + strings.Repeat(" xxxx", 250) + "\r\n\r\nx\r\n", true, 0, parsedPart{headers, "7bit", path + "A:" + strings.Repeat(" xxxx", 199) + "\r\n" + strings.Repeat(" xxxx", 51) + "\r\n"}},
		{"long field without blanks", "A:" + strings.Repeat("x", 1500) + "\r\n\r\nx\r\n", true, 0, parsedPart{headers, "7bit", path + "A:" + strings.Repeat("x", 995) + "\r\n " + strings.Repeat("x", 505) + "\r\n"}},
		{"long field with one blank in front", "A: " + strings.Repeat("x", 1500) + "\r\n\r\nx\r\n", true, 0, parsedPart{headers, "7bit", path + "A:\r\n " + strings.Repeat("x", 996) + "\r\n " + strings.Repeat("x", 504) + "\r\n"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := bounce()
			r.Content, r.HeadersOnly, r.Limit = strings.NewReader(tt.content), tt.headersOnly, tt.limit
			p := parse(t, []byte(compose(t, r)))
			if diff := cmp.Diff(tt.want, p.parts[2]); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if says := strings.Contains(p.parts[0].Body, "The message itself"); says != (tt.want.Type == whole) {
				t.Errorf("the text says\n%s", p.parts[0].Body)
			}
		})
	}
}

func TestNothingIsReturnedOfWhatCannotBe(t *testing.T) {
	for name, content := range map[string]string{
		"header too large": "A: " + strings.Repeat("x", 200<<10) + "\r\n\r\n",
		"too many fields":  strings.Repeat("A: 1\r\n", 2000) + "\r\n",
	} {
		r := bounce()
		r.Content = strings.NewReader(content)
		if p := parse(t, []byte(compose(t, r))); len(p.parts) != 2 {
			t.Errorf("%s: %d parts", name, len(p.parts))
		}
	}
	r := bounce()
	r.Content = nil
	if p := parse(t, []byte(compose(t, r))); len(p.parts) != 2 || strings.Contains(p.parts[0].Body, "attached") {
		t.Errorf("no content: %+v", p.parts)
	}
}

func TestOnlyAReportOfFailureReturnsTheBody(t *testing.T) {
	for kind, want := range map[string]string{
		"failed": "message/rfc822", "delayed": "text/rfc822-headers", "delivered": "text/rfc822-headers", "relayed": "text/rfc822-headers",
	} {
		r := bounce()
		r.Kind = map[string]Kind{"failed": Failed, "delayed": Delayed, "delivered": Delivered, "relayed": Relayed}[kind]
		if got := parse(t, []byte(compose(t, r))).parts[2].Type; got != want {
			t.Errorf("%s: %s, want %s", kind, got, want)
		}
	}
}

func TestInternationalPartsHaveTheirOwnTypes(t *testing.T) {
	const utf8Header, asciiHeader = "Subject: Grüße\r\n\r\nx\r\n", "Subject: x\r\n\r\nx\r\n"
	for _, tt := range []struct {
		name, content, sender, rcpt string
		utf8, headersOnly           bool
		status, returned            string
	}{
		{"all ASCII", asciiHeader, "a@x", "b@x", true, false, "message/delivery-status", "message/rfc822"},
		{"header in UTF-8", utf8Header, "a@x", "b@x", true, false, "message/delivery-status", "message/global"},
		{"header in UTF-8, only that", utf8Header, "a@x", "b@x", true, true, "message/delivery-status", "message/global-headers"},
		{"header in Latin-1", "Subject: \xe9\r\n\r\n", "a@x", "b@x", true, false, "message/delivery-status", "message/rfc822"},
		{"sender in UTF-8", asciiHeader, "ü@x", "b@x", true, false, "message/global-delivery-status", "message/global"},
		{"sender in UTF-8, header in Latin-1", "Subject: \xe9\r\n\r\n", "ü@x", "b@x", true, false, "message/global-delivery-status", "message/rfc822"},
		{"recipient in UTF-8", asciiHeader, "a@x", "ü@x", true, true, "message/global-delivery-status", "text/rfc822-headers"},
		{"recipient in no encoding", asciiHeader, "a@x", "\xff@x", true, true, "message/delivery-status", "text/rfc822-headers"},
	} {
		r := bounce()
		r.Content, r.ReversePath, r.UTF8, r.HeadersOnly = strings.NewReader(tt.content), tt.sender, tt.utf8, tt.headersOnly
		r.Recipients[0].Address, r.Recipients[0].Original = tt.rcpt, ""
		p := parse(t, []byte(compose(t, r)))
		if diff := cmp.Diff([]string{tt.status, tt.returned}, []string{p.parts[1].Type, p.parts[2].Type}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestNoContentCanForgeTheBoundary(t *testing.T) {
	const guessed = "=_7mWx2.1772881501"
	r := bounce()
	if !strings.Contains(compose(t, r), "boundary=\""+guessed+"\"") {
		t.Fatal("the boundary is another: guess again")
	}
	r = bounce()
	forged := "A: 1\r\n\r\n--" + guessed + "\r\nContent-Type: text/html\r\n\r\nevil\r\n--" + guessed + ".1--\r\n"
	r.Content = strings.NewReader(forged)
	p := parse(t, []byte(compose(t, r)))
	if len(p.parts) != 3 || !strings.HasSuffix(p.parts[2].Body, forged) {
		t.Errorf("reads as %+v", p.parts)
	}
}

func TestOnlyASoundMessageIDIsReferredTo(t *testing.T) {
	for id, want := range map[string]string{
		"<1@x>":                              "<1@x>",
		"1@x":                                "",
		"<1@x> <2@x>":                        "",
		"<>":                                 "",
		"<a b>":                              "",
		"<ü@x>":                              "",
		"<\x01@x>":                           "",
		"<" + strings.Repeat("x", 300) + ">": "",
	} {
		r := bounce()
		r.Content = strings.NewReader("Message-ID: " + id + "\r\n\r\n")
		if got := parse(t, []byte(compose(t, r))).header.Get("References"); got != want {
			t.Errorf("%q: %q, want %q", id, got, want)
		}
	}
}
