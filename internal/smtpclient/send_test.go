package smtpclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func TestSendPipelinesAndGivesOneReplyPerRecipient(t *testing.T) {
	p, c := start(t, hello+`
		C: MAIL FROM:<a@us.test> SIZE=20
		C: RCPT TO:<b@mx.test>
		C: RCPT TO:<c@mx.test>
		C: RCPT TO:<d@mx.test>
		C: DATA
		S: 250 2.1.0 Ok
		S: 250 2.1.5 Ok
		S: 550-5.1.1 no such
		S: 550 5.1.1 user
		S: 450 4.2.0 greylisted
		S: 354 go
		content
		S: 250 2.0.0 taken
		C: QUIT`)
	e := envelope("b@mx.test", "c@mx.test", "d@mx.test")
	e.Size = int64(len(text))
	res, err := c.Send(context.Background(), e, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	want := Result{
		MailReply: Reply{250, [3]int{2, 1, 0}, "Ok"},
		RcptReplies: []Reply{
			{250, [3]int{2, 1, 5}, "Ok"}, {550, [3]int{5, 1, 1}, "no such\nuser"}, {450, [3]int{4, 2, 0}, "greylisted"},
		},
		DataReply: Reply{250, [3]int{2, 0, 0}, "taken"},
	}
	if diff := cmp.Diff(want, res); diff != "" {
		t.Error(diff)
	}
	for i, code := range []int{250, 550, 450} {
		if got := res.Reply(i).Code; got != code {
			t.Errorf("Reply(%d).Code = %d, want %d", i, got, code)
		}
	}
	if !c.Reusable() {
		t.Error("not reusable")
	}
	c.Quit()
	p.end(t)
	if diff := cmp.Diff(text, p.content.String()); diff != "" {
		t.Error(diff)
	}
}

func TestSendWaitsForEachReplyWithoutPipelining(t *testing.T) {
	p, c := start(t, plainHello+`
		C: MAIL FROM:<a@us.test>
		S: 250 ok
		C: RCPT TO:<b@mx.test>
		S: 250 ok
		C: DATA
		S: 354 go
		content
		S: 250 ok`)
	if res, err := send(c, text, "b@mx.test"); err != nil || res.Reply(0).Code != 250 {
		t.Errorf("Send = %+v, %v", res, err)
	}
	p.end(t)
}

func TestSendEndsATransactionThatCameToNothing(t *testing.T) {
	tests := map[string]struct {
		script string
		want   []int // Reply(i).Code
	}{
		"DATA granted though every recipient was refused: a lone dot": {hello + `
			C: MAIL FROM:<a@us.test>
			C: RCPT TO:<b@mx.test>
			C: DATA
			S: 250 ok
			S: 550 no
			S: 354 go
			C: .
			S: 554 no valid recipients
			C: MAIL FROM:<a@us.test>
			C: *
			C: *
			S: 250 ok
			S: 550 no
			S: 503 no`, []int{550, 550}},
		"DATA refused: RSET in the next batch": {hello + `
			C: MAIL FROM:<a@us.test>
			C: RCPT TO:<b@mx.test>
			C: DATA
			S: 250 ok
			S: 250 ok
			S: 451 busy
			C: RSET
			C: MAIL FROM:<a@us.test>
			C: RCPT TO:<b@mx.test>
			C: DATA
			S: 250 ok
			S: 250 ok
			S: 550 no
			S: 554 no`, []int{451, 550}},
		"MAIL refused: nothing to reset": {hello + `
			C: MAIL FROM:<a@us.test>
			C: *
			C: *
			S: 451 later
			S: 503 no
			S: 503 no
			C: MAIL FROM:<a@us.test>
			C: *
			C: *
			S: 550 never
			S: 503 no
			S: 503 no`, []int{451, 550}},
		"MAIL refused, and then all granted: a lone dot": {hello + `
			C: MAIL FROM:<a@us.test>
			C: *
			C: *
			S: 451 later
			S: 250 ok
			S: 354 go
			C: .
			S: 250 taken
			C: *
			C: *
			C: *
			S: 550 never
			S: 503 no
			S: 503 no`, []int{451, 550}},
		"MAIL refused without pipelining: nothing else is said": {plainHello + `
			C: MAIL FROM:<a@us.test>
			S: 451 later
			C: MAIL FROM:<a@us.test>
			S: 250 ok
			C: RCPT TO:<b@mx.test>
			S: 550 no
			C: RSET
			S: 250 ok
			C: MAIL FROM:<a@us.test>
			S: 550 never`, []int{451, 550, 550}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p, c := start(t, test.script)
			for _, want := range test.want {
				res, err := send(c, text, "b@mx.test")
				if err != nil {
					t.Fatal(err)
				}
				if got := res.Reply(0).Code; got != want {
					t.Errorf("got %v, want %d", res.Reply(0), want)
				}
				if res.Uncertain {
					t.Error("uncertain")
				}
			}
			p.end(t)
		})
	}
}

func TestAReplyTo552AtRcptIsTemporaryOnlyForTooManyRecipients(t *testing.T) {
	p, c := start(t, hello+`
		C: *
		C: *
		C: *
		C: *
		C: *
		C: DATA
		S: 250 ok
		S: 552 mailbox full
		S: 250 ok
		S: 552 too many
		S: 552 5.2.2 mailbox full
		S: 354 go
		content
		S: 552 5.3.4 too big`)
	res, err := send(c, text, "b@mx.test", "c@mx.test", "d@mx.test", "e@mx.test")
	if err != nil {
		t.Fatal(err)
	}
	var got []int
	for i := range 4 {
		got = append(got, res.Reply(i).Code)
	}
	if diff := cmp.Diff([]int{552, 552, 452, 552}, got); diff != "" {
		t.Error(diff)
	}
	p.end(t)
}

func TestSendStuffsDots(t *testing.T) {
	long := strings.Repeat("0123456789abcde\r\n", 2*blockSize/17)
	for _, content := range []string{
		"", ".\r\n", "..\r\n.\r\n", "a\r\n.b\r\n", ".a", "no end",
		long[:blockSize-1] + "\r\n.\r\n.x\r\n",
		long[:blockSize-2] + "\r\n.\r\n.x\r\n",
		long[:blockSize-3] + ".\r\n.\r\n.x\r\n",
		strings.Repeat(".\r\n", 3*blockSize),
		strings.Repeat("x", blockSize) + ".in mid-line\r\n",
	} {
		content := strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(content, "\r", ""), "\n", "\r\n"), "x\r\n\r\n", "x\r\n")
		for name, r := range map[string]io.Reader{
			"whole": strings.NewReader(content), "octet by octet": iotest.OneByteReader(strings.NewReader(content)),
			"with EOF": iotest.DataErrReader(strings.NewReader(content)),
		} {
			p, c := start(t, hello+"C: *\nC: *\nC: *\nS: 250 ok\nS: 250 ok\nS: 354 go\ncontent\nS: 250 ok")
			e := envelope("b@mx.test")
			if res, err := c.Send(context.Background(), e, r); err != nil || !res.Reply(0).OK() {
				t.Fatalf("%.20q %s: %+v, %v", content, name, res, err)
			}
			p.end(t)
			want := content
			if want != "" && !strings.HasSuffix(want, "\r\n") {
				want += "\r\n"
			}
			if got := p.content.String(); got != want {
				t.Errorf("%.20q %s: %d octets arrived, %d sent; first difference at %d",
					content, name, len(got), len(want), firstDifference(got, want))
			}
		}
	}
}

func firstDifference(a, b string) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

func TestUncleanContentNeverGetsOnTheWire(t *testing.T) {
	clean := strings.Repeat("0123456789abcde\r\n", 2*blockSize/17)
	for _, test := range []struct {
		content string
		want    error
	}{
		{"a\rb\r\n", ErrBareCR}, {"a\r", ErrBareCR}, {"a\r\r\n", ErrBareCR}, {"\r.\r\n", ErrBareCR},
		{"a\nb\r\n", ErrBareLF}, {"\n", ErrBareLF}, {"a\r\n.\n", ErrBareLF},
		{"a\x00\r\n", ErrNUL},
		{"a\r\n\n", ErrBareLF},
	} {
		p, c := start(t, hello+"C: QUIT")
		_, err := send(c, test.content, "b@mx.test")
		var content *ContentError
		if !errors.Is(err, test.want) || !errors.As(err, &content) {
			t.Errorf("%q: %v, want %v", test.content, err, test.want)
		}
		if !c.Reusable() {
			t.Errorf("%q: nothing was sent, but the connection is closed", test.content)
		}
		c.Quit()
		p.end(t)

		for _, cut := range []int{blockSize - 1, blockSize, blockSize + 1, len(clean)} {
			wire := capture(t, clean[:cut/17*17]+strings.Repeat("x", cut%17)+"\r\n"+test.content, test.want)
			if strings.Contains(strings.ReplaceAll(wire, "\r\n", ""), "\r") ||
				strings.ContainsAny(strings.ReplaceAll(wire, "\r\n", ""), "\n\x00") {
				t.Errorf("%q after %d octets: unclean octets on the wire", test.content, cut)
			}
			if strings.Contains(wire, "\r\n.\r\n") || strings.Contains(wire, "QUIT") {
				t.Errorf("%q after %d octets: the torn message was ended: %q", test.content, cut, wire[len(wire)-20:])
			}
		}
	}
}

func TestATornSourceIsNotTheEndOfTheContent(t *testing.T) {
	block := strings.Repeat("0123456789abcde\r\n", 2*blockSize/17)
	for _, cause := range []error{io.ErrUnexpectedEOF, errors.New("disk"), fmt.Errorf("disk: %w", io.EOF)} {
		for _, before := range []string{"", "a\r\n", block} {
			_, c := start(t, hello+"C: *\nC: *\nC: *\nS: 250 ok\nS: 250 ok\nS: 354 go\ndrain")
			r := io.MultiReader(strings.NewReader(before), iotest.ErrReader(cause))
			res, err := c.Send(context.Background(), envelope("b@mx.test"), r)
			var content *ContentError
			if !errors.As(err, &content) || !errors.Is(err, cause) || res.Uncertain {
				t.Errorf("%d octets, then %v: %+v, %v", len(before), cause, res, err)
			}
		}
	}
}

// capture sends content that must fail with want and returns all that was written
// after the 354.
func capture(t *testing.T, content string, want error) string {
	t.Helper()
	p, c := start(t, hello+"C: *\nC: *\nC: *\nS: 250 ok\nS: 250 ok\nS: 354 go\nrest")
	if _, err := send(c, content, "b@mx.test"); !errors.Is(err, want) {
		t.Errorf("%v, want %v", err, want)
	}
	p.end(t)
	return p.content.String()
}

func TestContentShorterThanDeclaredIsTorn(t *testing.T) {
	p, c := start(t, hello+"C: QUIT")
	e := envelope("b@mx.test")
	e.Size = int64(len(text)) + 1
	var content *ContentError
	if _, err := c.Send(context.Background(), e, strings.NewReader(text)); !errors.As(err, &content) {
		t.Errorf("got %v", err)
	}
	c.Quit()
	p.end(t)
}

func TestTheDeclaredSizeIsComparedWithThePeersLimit(t *testing.T) {
	for size, want := range map[int64]bool{99_999: true, 100_000: true, 100_001: false} {
		p, c := start(t, hello+"C: *\nC: *\nC: *\nS: 250 ok\nS: 250 ok\nS: 354 go\ncontent\nS: 250 ok")
		e := envelope("b@mx.test")
		e.Size = size
		_, err := c.Send(context.Background(), e, strings.NewReader(strings.Repeat("x", int(size))))
		var unsendable *Unsendable
		if refused := errors.As(err, &unsendable); refused == want || refused && unsendable.Reply.Code != 552 || !c.Reusable() {
			t.Errorf("%d octets: %v", size, err)
		}
		c.Close()
		if want {
			p.end(t)
		}
	}
}

func TestLargeMessagesFollowEachOther(t *testing.T) {
	transaction := "C: *\nC: *\nC: *\nS: 250 ok\nS: 250 ok\nS: 354 go\ncontent\nS: 250 ok\n"
	p, c := start(t, hello+transaction+transaction+"C: QUIT")
	for range 2 {
		if res, err := send(c, strings.Repeat("0123456789abcde\r\n", blockSize), "b@mx.test"); err != nil || !res.Reply(0).OK() {
			t.Fatalf("%+v, %v", res, err)
		}
	}
	c.Quit()
	p.end(t)
}

func TestWhatThePeerLacksIsJudgedByTheContent(t *testing.T) {
	const eightBit, utf8 = "554 5.6.3", "553 5.6.7"
	tests := map[string]struct {
		offers  string
		change  func(*Envelope)
		content string
		want    string // the beginning of our own verdict, or of MAIL
	}{
		"8-bit, 8BITMIME":           {"8BITMIME", func(e *Envelope) { e.EightBit = true }, "\xe9\r\n", "MAIL FROM:<a@us.test> BODY=8BITMIME"},
		"8-bit, nothing":            {"HELP", func(e *Envelope) { e.EightBit = true }, "\xe9\r\n", eightBit},
		"8-bit undeclared":          {"HELP", func(e *Envelope) {}, "\xe9\r\n", eightBit},
		"declared and only 7-bit":   {"HELP", func(e *Envelope) { e.EightBit = true }, text, "MAIL FROM:<a@us.test>"},
		"SMTPUTF8":                  {"SMTPUTF8", func(e *Envelope) { e.SMTPUTF8 = true }, text, "MAIL FROM:<a@us.test> SMTPUTF8"},
		"SMTPUTF8 not needed":       {"HELP", func(e *Envelope) { e.SMTPUTF8 = true }, text, "MAIL FROM:<a@us.test>"},
		"SMTPUTF8 for the header":   {"8BITMIME", func(e *Envelope) { e.SMTPUTF8 = true }, "Subject: é\r\n\r\n", utf8},
		"an 8-bit body needs none":  {"8BITMIME", func(e *Envelope) { e.SMTPUTF8 = true }, "Subject: e\r\n\r\né\r\n", "MAIL FROM:<a@us.test>"},
		"SMTPUTF8 for a local-part": {"8BITMIME", func(e *Envelope) { e.SMTPUTF8 = true; e.From = "é@us.test" }, text, utf8},
		"undeclared, offered":       {"SMTPUTF8", func(e *Envelope) { e.From = "é@us.test" }, text, "MAIL FROM:<é@us.test> SMTPUTF8"},
		"U-labels go as A-labels":   {"HELP", func(e *Envelope) { e.From = "a@bücher.test" }, text, "MAIL FROM:<a@xn--bcher-kva.test>"},
		"DSN to who asks for none":  {"HELP", func(e *Envelope) { e.Ret, e.EnvID = "FULL", "x" }, text, "MAIL FROM:<a@us.test>"},
		"DSN":                       {"DSN", func(e *Envelope) { e.Ret, e.EnvID = "FULL", "x y" }, text, "MAIL FROM:<a@us.test> RET=FULL ENVID=x+20y"},
		"an overlong ENVID":         {"DSN", func(e *Envelope) { e.EnvID = strings.Repeat("x", 101) }, text, "MAIL FROM:<a@us.test>"},
		"the null reverse-path":     {"HELP", func(e *Envelope) { e.From = "" }, text, "MAIL FROM:<>"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			script := "S: 220 x\nC: *\nS: 250-x\nS: 250 " + test.offers + "\n"
			if test.want[0] == 'M' {
				script += "C: " + test.want + "\nS: 250 ok\nC: *\nS: 250 ok\nC: *\nS: 354 go\ncontent\nS: 250 ok\n"
			}
			p, c := start(t, script+"C: QUIT")
			e := envelope("b@mx.test")
			test.change(&e)
			_, err := c.Send(context.Background(), e, strings.NewReader(test.content))
			var unsendable *Unsendable
			switch {
			case test.want[0] == 'M' && err != nil:
				t.Error(err)
			case test.want[0] != 'M' && (!errors.As(err, &unsendable) || !strings.HasPrefix(err.Error(), test.want)):
				t.Errorf("%v, want %s", err, test.want)
			}
			c.Quit()
			p.end(t)
		})
	}
}

func TestAddressesAreParsedAgain(t *testing.T) {
	for to, index := range map[string]int{"evil> X@mx.test": 1, "a@b@mx.test": 1, "x\r\nRSET@mx.test": 1, "": 1} {
		p, c := start(t, hello+"C: QUIT")
		_, err := send(c, text, "b@mx.test", to)
		var malformed *AddressError
		if !errors.As(err, &malformed) || malformed.Index != index {
			t.Errorf("%q: %v", to, err)
		}
		c.Quit()
		p.end(t)
	}
}

// TestAGoodbyeInsteadOfAnAnswerToRSETIsTheEndOfTheSession and says nothing about the
// message that was to come.
func TestAGoodbyeInsteadOfAnAnswerToRSETIsTheEndOfTheSession(t *testing.T) {
	_, c := start(t, hello+`
		C: *
		C: *
		C: *
		S: 250 ok
		S: 250 ok
		S: 451 busy
		C: RSET
		C: *
		C: *
		C: *
		S: 421 4.4.2 idle too long`)
	send(c, text, "b@mx.test")
	res, err := send(c, text, "b@mx.test")
	if step(err) != StepReset || !errors.Is(err, io.EOF) || errors.Is(err, ErrProtocol) || res.Reply(0).Code != 0 {
		t.Errorf("%+v, %v", res, err)
	}
}
