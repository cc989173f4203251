package smtpclient

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestGreetRefusals(t *testing.T) {
	tests := map[string]struct {
		script string
		step   Step
		code   int
	}{
		"greeting 554":                   {"S: 554 5.7.1 go away\nC: QUIT", StepGreeting, 554},
		"greeting 421":                   {"S: 421-4.3.2 busy\nS: 421 4.3.2 very\nsilent", StepGreeting, 421},
		"EHLO 421 is no reason for HELO": {"S: 220 x\nC: EHLO us.test\nS: 421 bye\nsilent", StepHello, 421},
		"EHLO and HELO":                  {"S: 220 x\nC: EHLO us.test\nS: 502 no\nC: HELO us.test\nS: 550 no\nC: QUIT", StepHello, 550},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p, _, err := greet(t, test.script)
			var refused *Refusal
			if !errors.As(err, &refused) || refused.Step != test.step || refused.Reply.Code != test.code {
				t.Errorf("got %v, want %d at %s", err, test.code, test.step)
			}
			p.end(t)
		})
	}
}

func TestGreetFallsBackToHELO(t *testing.T) {
	p, c := start(t, "S: 220 x\nC: EHLO us.test\nS: 500 what\nC: HELO us.test\nS: 250 SIZE\nC: QUIT")
	if _, ok := c.Ext("SIZE"); ok {
		t.Error("the reply to HELO was taken for a list of extensions")
	}
	c.Quit()
	p.end(t)
}

func TestExtensionsKnowNoCase(t *testing.T) {
	_, c := start(t, "S: 220 x\nC: *\nS: 250-size 1\nS: 250-Size 100\nS: 250-starttls\nS: 250-AUTH=LOGIN\nS: 250-auth PLAIN login\nS: 250-Auth=CRAM-MD5\nS: 250 DSN ")
	got := map[string]string{}
	for _, k := range []string{"SIZE", "STARTTLS", "AUTH", "DSN"} {
		if v, ok := c.Ext(k); ok {
			got[k] = v
		}
	}
	want := map[string]string{"SIZE": "100", "STARTTLS": "", "AUTH": "PLAIN login", "DSN": ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// hostile are replies of servers that are none.
var hostile = map[string]string{
	"HTTP":                "S: HTTP/1.1 400 Bad Request",
	"a TLS alert":         "S: \x15\x03\x01\x00\x02\x02\x46",
	"a line of 5000":      "S: 250 " + strings.Repeat("x", 5000),
	"code 999":            "S: 999 devil",
	"code -20":            "S: -20 x",
	"code 199":            "S: 199 x",
	"an empty line":       "S: ",
	"two codes":           "S: 250-x\nS: 550 y",
	"no blank":            "S: 250ok",
	"a reply of 65 KiB":   strings.Repeat("S: 250-"+strings.Repeat("x", 1000)+"\n", 70) + "S: 250 x",
	"intermediate":        "S: 354 go",
	"closed":              "close",
	"reset":               "reset",
	"closed in mid-line":  "s: 250 o",
	"closed in mid-reply": "S: 250-x\nclose",
}

func TestHostileRepliesEndTheSessionAndNothingElse(t *testing.T) {
	session := strings.Split("S: 220 x|C: *|S: 250 x|C: *|S: 250 x|C: *|S: 250 x|C: *|S: 354 x|content|S: 250 x", "|")
	for name, reply := range hostile {
		for n, line := range session {
			if !strings.HasPrefix(line, "S:") || name == "intermediate" && strings.HasPrefix(line, "S: 354") {
				continue
			}
			t.Run(name+" for "+line, func(t *testing.T) {
				script := strings.Join(session[:n], "\n") + "\n" + reply
				_, c, err := greet(t, script)
				var res Result
				if err == nil {
					res, err = send(c, text, "b@mx.test")
				}
				var broke *Error
				if !errors.As(err, &broke) {
					t.Fatalf("got %+v, %v", res, err)
				}
				if len(res.RcptReplies) > 0 && res.Reply(0).Code/100 == 5 {
					t.Errorf("a bounce: %v", res.Reply(0))
				}
				if last := n == len(session)-1; res.Uncertain != last {
					t.Errorf("Uncertain = %v after %v", res.Uncertain, err)
				}
				if c != nil && c.Reusable() {
					t.Error("reusable")
				}
			})
		}
	}
}

func TestARepeatedReplyIsNotTakenForTheNext(t *testing.T) {
	tests := map[string]string{
		"without pipelining": plainHello + "C: *\nS: 250 ok\nS: 250 stray\nsilent",
		"with pipelining":    hello + "C: *\nC: *\nC: *\nC: *\nS: 250 ok\nS: 250 stray\nS: 550 no\nS: 250 ok\nS: 354 go\nsilent",
		"after the refusal":  hello + "C: *\nC: *\nC: *\nC: *\nS: 250 ok\nS: 250 stray\nS: 550 no\nS: 550 no\nS: 503 no\nsilent",
		"after EHLO":         "S: 220 x\nC: *\nS: 250 x\nS: 250 stray\nsilent",
		"before EHLO":        "S: 220 x\nS: 250 x\nsilent",
		"after 354":          hello + "C: *\nC: *\nC: *\nC: *\nS: 250 ok\nS: 250 ok\nS: 250 ok\nS: 354 go\nS: 250 ok\nsilent",
	}
	for name, script := range tests {
		t.Run(name, func(t *testing.T) {
			p, c, err := greet(t, script)
			var res Result
			if err == nil {
				res, err = send(c, text, "b@mx.test", "c@mx.test")
			}
			if !errors.Is(err, ErrProtocol) {
				t.Errorf("got %+v, %v", res, err)
			}
			for i := range res.RcptReplies {
				if r := res.Reply(i); r.Code != 0 {
					t.Errorf("recipient %d: %v is believed", i, r)
				}
			}
			p.end(t)
		})
	}
}

func TestAStrayReplyAfterTheLastEndsReuse(t *testing.T) {
	_, c := start(t, hello+"C: *\nC: *\nC: *\nS: 250 ok\nS: 250 ok\nS: 354 go\ncontent\nS: 250 ok\nS: 250 stray")
	if res, err := send(c, text, "b@mx.test"); err != nil || !res.Reply(0).OK() {
		t.Errorf("%+v, %v", res, err)
	}
	if c.Reusable() {
		t.Error("reusable")
	}
}

func TestStartTLS(t *testing.T) {
	p, c := start(t, hello+"C: STARTTLS\nS: 220 go\ntls\nC: EHLO us.test\nS: 250-x\nS: 250 SIZE\nC: QUIT")
	if err := c.StartTLS(context.Background(), anyTLS()); err != nil {
		t.Fatal(err)
	}
	if _, ok := c.Ext("PIPELINING"); ok || c.TLSState() == nil {
		t.Error("what was learnt in clear is still believed, or there is no TLS")
	}
	c.Quit()
	p.end(t)
}

func TestStartTLSRefusedLeavesTheSessionInOrder(t *testing.T) {
	p, c := start(t, hello+"C: STARTTLS\nS: 454 4.7.0 no\nC: QUIT")
	err := c.StartTLS(context.Background(), anyTLS())
	var refused *Refusal
	if !errors.As(err, &refused) || refused.Reply.Code != 454 || !c.Reusable() || c.TLSState() != nil {
		t.Errorf("got %v", err)
	}
	c.Quit()
	p.end(t)
}

func TestFailedTLSIsTheEndWithoutAnotherOctetInClear(t *testing.T) {
	for name, test := range map[string]struct {
		script string
		step   Step
	}{
		"replies injected in clear": {"S: 220 go\nS: 250 x\nsilent", StepStartTLS},
		"garbage":                   {"S: 220 go\nrecord\nS: 550 what\nsilent", StepHandshake},
		"closed":                    {"S: 220 go\nrecord\nclose", StepHandshake},
	} {
		t.Run(name, func(t *testing.T) {
			p, c := start(t, hello+"C: STARTTLS\n"+test.script)
			err := c.StartTLS(context.Background(), anyTLS())
			if step(err) != test.step {
				t.Errorf("got %v, want an error at %s", err, test.step)
			}
			if _, err := send(c, text, "b@mx.test"); err == nil {
				t.Error("the session goes on")
			}
			c.Quit()
			p.end(t)
		})
	}
}

func TestAuthKeepsSecrets(t *testing.T) {
	const password = "s3cr3t-canary"
	blob := base64.StdEncoding.EncodeToString([]byte("\x00user\x00" + password))
	encoded := base64.StdEncoding.EncodeToString([]byte(password))
	tests := map[string]struct {
		mechanism sasl.Client
		script    string
		code      int
	}{
		"PLAIN": {sasl.NewPlainClient("", "user", password), "C: AUTH PLAIN " + blob + "\nS: 235 2.7.0 welcome " + password, 0},
		"LOGIN": {sasl.NewLoginClient("user", password), "C: AUTH LOGIN dXNlcg==\nS: 334 UGFzc3dvcmQ6\nC: " + encoded + "\nS: 235 ok", 0},
		"refused, and told back": {sasl.NewPlainClient("", "user", password),
			"C: *\nS: 535-5.7.8 wrong: " + password + "\nS: 535 5.7.8 " + blob, 535},
		"told back later": {sasl.NewLoginClient("user", password),
			"C: *\nS: 334 UGFzc3dvcmQ6\nC: *\nS: 535 5.7.8 " + encoded + " or " + password, 535},
		"garbled": {sasl.NewPlainClient("", "user", password), "C: *\nS: " + password + " " + blob, -1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p, c := start(t, hello+test.script)
			err := c.Auth(context.Background(), test.mechanism, password)
			var refused *Refusal
			switch {
			case test.code == 0 && err != nil, test.code != 0 && err == nil:
				t.Errorf("got %v", err)
			case test.code > 0 && (!errors.As(err, &refused) || refused.Reply.Code != test.code):
				t.Errorf("got %v", err)
			}
			shown := c.Transcript()
			if err != nil {
				shown += err.Error()
			}
			for _, secret := range []string{password, blob, encoded} {
				if strings.Contains(shown, secret) {
					t.Errorf("%q is shown in %s", secret, shown)
				}
			}
			if !strings.Contains(shown, "AUTH") {
				t.Errorf("no AUTH in %s", shown)
			}
			p.end(t)
		})
	}
}

func TestAuthDoesNotAnswerForEver(t *testing.T) {
	_, c := start(t, hello+"C: *\n"+strings.Repeat("S: 334 UGFzc3dvcmQ6\nC: *\n", 100))
	if err := c.Auth(context.Background(), sasl.NewLoginClient("u", "p")); !errors.Is(err, ErrProtocol) {
		t.Errorf("got %v", err)
	}
}

func TestAuthCancelsWhatItCannotAnswer(t *testing.T) {
	p, c := start(t, hello+"C: *\nS: 334 !!!\nC: *\nS: 501 cancelled\nC: QUIT")
	if err := c.Auth(context.Background(), sasl.NewLoginClient("u", "p")); err == nil || !c.Reusable() {
		t.Errorf("got %v", err)
	}
	c.Quit()
	p.end(t)
}

func TestLMTPGivesAReplyForEachRecipient(t *testing.T) {
	p, conn := play(t, `
		S: 220 x
		C: LHLO us.test
		S: 250-x
		S: 250 PIPELINING
		C: *
		C: *
		C: *
		C: *
		C: *
		S: 250 ok
		S: 250 ok
		S: 550 no
		S: 250 ok
		S: 354 go
		content
		S: 452 full
		S: 250 stored`)
	c, err := Greet(context.Background(), conn, Options{HELO: "us.test", LMTP: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	res, err := send(c, text, "b@mx.test", "c@mx.test", "d@mx.test")
	if err != nil {
		t.Fatal(err)
	}
	var got []int
	for i := range 3 {
		got = append(got, res.Reply(i).Code)
	}
	if diff := cmp.Diff([]int{452, 550, 250}, got); diff != "" {
		t.Error(diff)
	}
	p.end(t)
}

func TestEveryStepHasItsTimeout(t *testing.T) {
	session := strings.Split("S: 220 x|C: *|S: 250 x|C: *|S: 250 x|C: *|S: 250 x|C: *|S: 354 x|content|S: 250 x", "|")
	for n, want := range map[int]time.Duration{
		0: 5 * time.Minute, 2: 5 * time.Minute, 4: 5 * time.Minute, 6: 5 * time.Minute, 8: 2 * time.Minute, 10: 10 * time.Minute,
	} {
		synctest.Test(t, func(t *testing.T) {
			p, conn := play(t, strings.Join(session[:n], "\n")+"\nwait")
			begun := time.Now()
			c, err := Greet(context.Background(), conn, Options{HELO: "us.test"})
			if err == nil {
				_, err = send(c, text, "b@mx.test")
			}
			if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begun) != want {
				t.Errorf("step %d: %v after %v, want %v", n, err, time.Since(begun), want)
			}
			p.end(t)
		})
	}
}

func TestAPeerThatStopsReadingIsLeftAfterTheTimeoutOfABlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, c := start(t, hello+"C: *\nC: *\nC: *\nS: 250 ok\nS: 250 ok\nS: 354 go\nwait")
		begun := time.Now()
		res, err := send(c, strings.Repeat("0123456789abcde\r\n", 64<<10), "b@mx.test")
		if step(err) != StepContent || res.Uncertain || time.Since(begun) > 3*time.Minute+lastWords {
			t.Errorf("%+v, %v after %v", res, err, time.Since(begun))
		}
		p.end(t)
	})
}

// TestAPeerMustTakeContentAtAMinimumRate has a slow but honest peer beside tarpits.
func TestAPeerMustTakeContentAtAMinimumRate(t *testing.T) {
	for _, test := range []struct {
		rate  int // octets a second that the peer takes
		least int // Timeouts.MinRate
		taken bool
	}{
		{200, 0, false}, {700, 0, false}, {1200, 0, true}, {700, 500, true}, {300, 500, false}, {200, -1, true},
	} {
		for name, script := range map[string]string{"in clear": plainHello, "over TLS": "tls\n" + plainHello} {
			t.Run(fmt.Sprintf("%d octets a second of %d, %s", test.rate, test.least, name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { testRate(t, test.rate, test.least, test.taken, script) })
			})
		}
	}
}

func testRate(t *testing.T, rate, least int, taken bool, script string) {
	p, conn := play(t, script+fmt.Sprintf("C: *\nS: 250 ok\nC: *\nS: 250 ok\nC: *\nS: 354 go\ndrip %d\nS: 250 ok", 10*rate))
	o := Options{HELO: "us.test", Timeouts: Timeouts{MinRate: least}}
	if strings.HasPrefix(script, "tls") {
		o.TLS = anyTLS()
	}
	c, err := Greet(context.Background(), conn, o)
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	res, err := send(c, strings.Repeat("0123456789abcde\r\n", 3000*rate/17), "b@mx.test")
	took := time.Since(begun)
	c.Close()
	<-p.done
	switch {
	case taken && (err != nil || !res.Reply(0).OK()):
		t.Errorf("%+v, %v after %v", res, err, took)
	case !taken && (step(err) != StepContent || !errors.Is(err, os.ErrDeadlineExceeded) || res.Uncertain || took > 15*time.Minute):
		t.Errorf("%+v, %v after %v", res, err, took)
	}
}

func TestARefusalInMidContentIsHeard(t *testing.T) {
	big := strings.Repeat("0123456789abcde\r\n", 64<<10)
	for name, end := range map[string]string{
		"and the peer closes":         "close",
		"and the peer resets":         "reset",
		"and the peer stops reading":  "wait",
		"and the peer reads all":      "rest",
		"before anything was written": "",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				script := "S: 354 go\nC: *\nS: 552 5.3.4 too big\n" + end
				if end == "" {
					script = "S: 354 go\nS: 552 5.3.4 too big\nwait"
				}
				p, c := start(t, hello+"C: *\nC: *\nC: *\nS: 250 ok\nS: 250 ok\n"+script)
				begun := time.Now()
				res, err := send(c, big, "b@mx.test")
				if err != nil || res.Reply(0).Code != 552 || res.Uncertain {
					t.Errorf("%+v, %v", res, err)
				}
				// A peer that reads on may have all before it is heard.
				whole := c.Reusable()
				if whole && end != "rest" {
					t.Error("reusable")
				}
				if d := time.Since(begun); d > time.Minute {
					t.Errorf("took %v", d)
				}
				c.Close()
				<-p.done
				if ended := strings.HasSuffix(p.content.String(), "\r\n.\r\n"); ended != whole {
					t.Errorf("the message was ended: %v, and the connection is reusable: %v", ended, whole)
				}
			})
		})
	}
}

func TestAContextThatEndsUnblocksEveryStep(t *testing.T) {
	session := strings.Split("S: 220 x|C: *|S: 250 x|C: *|S: 250 x|C: *|S: 250 x|C: *|S: 354 x|content|S: 250 x", "|")
	big := strings.Repeat("0123456789abcde\r\n", 64<<10)
	for _, n := range []int{0, 2, 4, 6, 8, 9, 10} {
		synctest.Test(t, func(t *testing.T) {
			p, conn := play(t, strings.Join(session[:n], "\n")+"\nwait")
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			begun := time.Now()
			c, err := Greet(ctx, conn, Options{HELO: "us.test"})
			var res Result
			if err == nil {
				res, err = c.Send(ctx, envelope("b@mx.test"), strings.NewReader(big))
			}
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) > time.Second+lastWords {
				t.Errorf("step %d: %v after %v", n, err, time.Since(begun))
			}
			if res.Uncertain != (n == 10) {
				t.Errorf("step %d: Uncertain = %v", n, res.Uncertain)
			}
			p.end(t)
		})
	}
}

func TestTheTranscriptIsOfTheLastMessageAndCapped(t *testing.T) {
	p, c := start(t, hello+strings.Repeat("C: *\nC: *\nC: *\nS: 250 ok\nS: 250 ok\nS: 354 go\ncontent\nS: 250 taken\n", 2)+
		"C: *\nC: *\nC: *\n"+strings.Repeat("S: 250-"+strings.Repeat("y", 100)+"\n", 100)+"S: 250 ok\nS: 550 no\nS: 503 no")
	send(c, text, "b@mx.test")
	if got := c.Transcript(); !strings.HasPrefix(got, "S: 220 mx.test") {
		t.Errorf("the first has no greeting: %s", got)
	}
	send(c, text, "b@mx.test")
	want := "C: MAIL FROM:<a@us.test>\nC: RCPT TO:<b@mx.test>\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\n" +
		"C: (20 octets of content)\nC: .\nS: 250 taken\n"
	if diff := cmp.Diff(want, c.Transcript()); diff != "" {
		t.Error(diff)
	}
	send(c, text, "b@mx.test")
	if got := c.Transcript(); len(got) > maxTranscript || len(got) < maxTranscript/2 || !strings.HasSuffix(got, "S: 503 no\n") {
		t.Errorf("%d octets: %s", len(got), got)
	}
	p.end(t)
}

func FuzzReadReply(f *testing.F) {
	for _, s := range []string{
		"250 ok\r\n", "250-a\r\n250 b\r\n", "550 5.1.1 no\r\n", "550-5.1.1\r\n550 5.1.1 x\r\n", "250\r\n", "250\n", "421 4.", "999 x\r\n",
		"HTTP/1.1 200 OK\r\n\r\n", "250 \x1b[31m\x00\xff\r\n", "450 4.2.0.1 x\r\n", "250-x\r\n550 y\r\n", "550 5.1.1000 x\r\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var log transcript
		rr := replyReader{r: bufio.NewReaderSize(strings.NewReader(s), readSize), log: &log}
		for {
			r, err := rr.read()
			if err != nil {
				if !errors.Is(err, ErrProtocol) && err != io.EOF && err != io.ErrUnexpectedEOF {
					t.Fatalf("%v", err)
				}
				break
			}
			if r.Code < 200 || r.Code > 599 || r.Enhanced[0] != 0 && r.Enhanced[0] != r.Code/100 {
				t.Fatalf("%+v", r)
			}
			if strings.ContainsFunc(strings.ReplaceAll(r.Text, "\n", ""), func(c rune) bool { return c < ' ' || c == 0x7f }) || len(r.Text) > maxReply*3 {
				t.Fatalf("%q", r.Text)
			}
		}
		if len(log.tail()) > maxTranscript {
			t.Fatalf("transcript of %d octets", len(log.tail()))
		}
	})
}

func TestReplies(t *testing.T) {
	tests := map[string]Reply{
		"250 ok\r\n":          {250, [3]int{}, "ok"},
		"250\r\n":             {250, [3]int{}, ""},
		"250 \n":              {250, [3]int{}, ""},
		"250 2.1.5 ok\r\n":    {250, [3]int{2, 1, 5}, "ok"},
		"550 4.1.1 no\r\n":    {550, [3]int{}, "4.1.1 no"},
		"550 5.1 no\r\n":      {550, [3]int{}, "5.1 no"},
		"550 5.1.1.1 no\r\n":  {550, [3]int{}, "5.1.1.1 no"},
		"550 5.1.1000 no\r\n": {550, [3]int{}, "5.1.1000 no"},
		"550 5.7.509\r\n":     {550, [3]int{5, 7, 509}, ""},
		"550-5.1.1 a\r\n550-b\r\n550 5.1.1 c\r\n": {550, [3]int{5, 1, 1}, "a\nb\nc"},
		"550-5.1.1 a\r\n550 5.1.10 c\r\n":         {550, [3]int{5, 1, 1}, "a\n5.1.10 c"},
		"421 \x1b[31m\x00\xff é\ttab\r\n":         {421, [3]int{}, "?[31m?? é tab"},
	}
	for wire, want := range tests {
		rr := replyReader{r: bufio.NewReaderSize(strings.NewReader(wire), readSize), log: &transcript{}}
		got, err := rr.read()
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v %s", wire, err, diff)
		}
	}
}

// A lateConn calls a function when a read or a write has succeeded, and before it is
// seen.
type lateConn struct {
	net.Conn
	read, write func()
}

func (c *lateConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read()
	return n, err
}

func (c *lateConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.write()
	return n, err
}

func TestAContextThatEndsBetweenStepsIsSeen(t *testing.T) {
	for name, set := range map[string]func(c *lateConn, f func()){
		"after a read":  func(c *lateConn, f func()) { c.read = f },
		"after a write": func(c *lateConn, f func()) { c.write = f },
	} {
		synctest.Test(t, func(t *testing.T) {
			p, conn := play(t, plainHello+"C: *\n"+map[string]string{"after a read": "S: 250 ok\n"}[name]+"wait")
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			late := &lateConn{conn, func() {}, func() {}}
			c, err := Greet(context.Background(), late, Options{HELO: "us.test"})
			if err != nil {
				t.Fatal(err)
			}
			set(late, func() {
				cancel()
				<-time.After(time.Millisecond) // the watch over the context has done its work
			})
			begun := time.Now()
			_, err = c.Send(ctx, envelope("b@mx.test"), strings.NewReader(text))
			if !errors.Is(err, context.Canceled) || time.Since(begun) > lastWords+time.Second {
				t.Errorf("%s: %v after %v", name, err, time.Since(begun))
			}
			p.end(t)
		})
	}
}
