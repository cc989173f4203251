package restrict_test

import (
	"fmt"
	"strings"
	"testing"

	. "github.com/panelmail/panelmail/internal/restrict"
)

func TestATableOfTheGreatestSizeIsReadAndSearched(t *testing.T) {
	var text strings.Builder
	for i := range MaxLines {
		fmt.Fprintf(&text, "user%d@remote.test REJECT 5.7.%d no\n", i, i%1000)
	}
	p := parse(t, Lists{Sender: "check_sender_access t", Tables: map[string]string{"t": text.String()}})
	q := stranger()
	q.Sender = "user99999@remote.test"
	l := newLab()
	if got, want := said(p.AtRcpt(t.Context(), &l.Session, q)), "554 5.7.999 <user99999@remote.test>: Sender address rejected: no"; got != want {
		t.Errorf("%s", got)
	}
}
