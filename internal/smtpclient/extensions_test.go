package smtpclient

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheLimitsOfThePeerAreRead(t *testing.T) {
	for line, want := range map[string]Limits{
		"LIMITS RCPTMAX=20 MAILMAX=5 RCPTDOMAINMAX=1":  {5, 20, 1},
		"limits rcptmax=20 Other=x MailMax=999999":     {999999, 20, 0},
		"LIMITS RCPTMAX=0 MAILMAX=-1 RCPTDOMAINMAX=+3": {},
		"LIMITS RCPTMAX MAILMAX= RCPTDOMAINMAX=many":   {},
		"LIMITS MAILMAX=10000000 RCPTMAX=2":            {0, 2, 0},
		"LIMITS":                                       {},
		"SIZE 10":                                      {},
	} {
		_, c := start(t, "S: 220 x\nC: *\nS: 250-x\nS: 250 "+line)
		if diff := cmp.Diff(want, c.Limits()); diff != "" {
			t.Errorf("%s: %s", line, diff)
		}
	}
}

func TestAPeerCannotFillTheListOfItsExtensions(t *testing.T) {
	var many strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&many, "S: 250-X%d\n", i)
	}
	_, c := start(t, "S: 220 x\nC: *\nS: 250-x\nS: 250-PIPELINING\nS: 250-SIZE "+strings.Repeat("9", 600)+"\n"+many.String()+"S: 250 DSN")
	if _, ok := c.Ext("PIPELINING"); !ok || len(c.ext) != maxExtensions {
		t.Errorf("%d extensions", len(c.ext))
	}
	if _, ok := c.Ext("SIZE"); ok {
		t.Error("an overlong line counts")
	}
}

// TestGarbageInEHLOTakesNothingFromTheMessage: what cannot be read is not a limit.
func TestGarbageInEHLOTakesNothingFromTheMessage(t *testing.T) {
	for _, offer := range []string{
		"SIZE", "SIZE 0", "SIZE many", "SIZE -1", "SIZE 99999999999999999999", "SIZE 1 2", "SIZE=1", "LIMITS RCPTMAX=x", "AUTH=", "AUTH", "=", " ", "250 250",
	} {
		p, c := start(t, "S: 220 x\nC: *\nS: 250-x\nS: 250 "+offer+"\nC: *\nS: 250 ok\nC: *\nS: 250 ok\nC: *\nS: 354 go\ncontent\nS: 250 ok")
		e := envelope("b@mx.test")
		e.Size = int64(len(text))
		if res, err := c.Send(context.Background(), e, strings.NewReader(text)); err != nil || !res.Reply(0).OK() {
			t.Errorf("%q: %+v, %v", offer, res, err)
		}
		p.end(t)
	}
}

func TestWhoNeedsAnExtensionDoesNotSayHELO(t *testing.T) {
	for _, refusal := range []string{"502 5.5.1 what", "554 5.7.1 listed", "450 4.7.0 later"} {
		p, conn := play(t, "S: 220 x\nC: EHLO us.test\nS: "+refusal+"\nC: QUIT")
		_, err := Greet(context.Background(), conn, Options{HELO: "us.test", Extended: true})
		var refused *Refusal
		if !errors.As(err, &refused) || refused.Step != StepHello || refused.Reply.String() != refusal {
			t.Errorf("%s: %v", refusal, err)
		}
		p.end(t)
	}
}

// TestOnlyTheRecipientThatNeedsSMTPUTF8IsRefused: the others can be reached without.
func TestOnlyTheRecipientThatNeedsSMTPUTF8IsRefused(t *testing.T) {
	p, c := start(t, plainHello+"C: QUIT")
	_, err := send(c, text, "b@mx.test", "é@mx.test", "c@bücher.test")
	var (
		address    *AddressError
		unsendable *Unsendable
	)
	if !errors.As(err, &address) || address.Index != 1 || !errors.As(err, &unsendable) || unsendable.Reply.Enhanced != [3]int{5, 6, 7} {
		t.Errorf("got %v", err)
	}
	c.Quit()
	p.end(t)
}
