package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/queue"
)

// leaving reads a little, and leaves like head(1).
type leaving struct{ got strings.Builder }

// Write implements io.Writer.
func (l *leaving) Write(p []byte) (int, error) {
	if l.got.Len() > 0 {
		return 0, syscall.EPIPE
	}
	return l.got.Write(p)
}

func TestAReaderWhoLeavesEndsAListQuietly(t *testing.T) {
	eachWay(t, func(t *testing.T, l *lab, ids []string) {
		want := l.do("", "queue", "list")
		for _, args := range []string{"queue list", "queue list --json", "mailq", "postqueue -j", "postcat -q " + strings.Repeat(ids[0]+" ", 100), "trail", "help"} {
			var out leaving
			var problems strings.Builder
			argv := append([]string{"panelmail", "--data", l.data}, strings.Fields(args)...)
			for range 2 { // the second finds him gone from the start
				if status := run(t.Context(), argv, strings.NewReader(""), &out, &problems); status != 0 || strings.Contains(problems.String(), "panelmail") {
					t.Errorf("%s: exit status %d, %s", args, status, &problems)
				}
			}
		}
		if diff := cmp.Diff(want, l.do("", "queue", "list")); diff != "" {
			t.Errorf("afterwards (-want +got):\n%s", diff)
		}
	})
}

func TestATrailFollowsWhatHappensAtOnce(t *testing.T) {
	l := newLab(t)
	l.serve()
	ctx, leave := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, []string{"panelmail", "--data", l.data, "trail", "--follow", "--json"}, nil, w, io.Discard)
		w.Close()
	}()
	lines := bufio.NewScanner(r)
	next := func() (e listedEvent) {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("the trail ended: %v", lines.Err())
		}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		return e
	}
	l.do("", "site", "add", "shop", "--uid", strconv.Itoa(os.Geteuid()))
	l.do("", "domain", "add", "shop.example", "--site", "shop")
	l.do("", "route", "set", "held.example", "hold:waits for a person")
	l.do("Subject: x\n\nx\n", "sendmail", "-f", "me@shop.example", "x@held.example")
	first := next()
	kinds := []queue.Kind{first.Event, next().Event}
	l.do("", "queue", "delete", first.ID)
	kinds = append(kinds, next().Event)
	if diff := cmp.Diff([]queue.Kind{queue.Queued, queue.Held, queue.Removed}, kinds); diff != "" {
		t.Errorf("the trail (-want +got):\n%s", diff)
	}
	leave()
	if status := <-done; status != 130 {
		t.Errorf("exit status %d", status)
	}
}

func TestRulesHoldNewMailAndTheQueueAlike(t *testing.T) {
	eachWay(t, func(t *testing.T, l *lab, ids []string) {
		l.steps(ids,
			step{args: "queue rule list", stdout: "no rules\n"},
			step{args: "queue rule", status: 2, stderr: "queue rule what? add, list, delete"},
			step{args: "queue rule add --domain late.example", status: 2, stderr: "a rule needs a --reason"},
			step{args: "queue rule add --via pigeon --reason x", status: 1, stderr: `no way in is called "pigeon"`},
			step{args: "queue|rule|add|--site|shop|--domain|late.example|--reason|they ask us to wait", stdout: "rule 1 holds --site shop --domain late.example\n"},
			step{args: "queue list --state hold ID1", stdout: "ID1  hold          233  DATE  me@shop.example  u@late.example, v@late.example (held by rule 1: they ask us to wait)\n"},
			step{args: "queue list --state hold ID2", status: 1, stderr: "no message matches"}, // no mail of the site's
			step{args: "queue rule add --reason storm --json --via api", stdout: `{"id":2,"via":"api","reason":"storm"}` + "\n"},
			step{args: "queue rule list", stdout: "ID  HOLDS                              REASON\n1   --site shop --domain late.example  they ask us to wait\n2   --via api                          storm\n"},
			step{args: "queue rule list --json", stdout: `{"id":1,"site":"shop","domain":"late.example","reason":"they ask us to wait","created":DATE}` + "\n" +
				`{"id":2,"via":"api","reason":"storm","created":DATE}` + "\n"},
			step{args: "queue rule delete 1", stdout: "rule 1 deleted; what it holds stays on hold\n"},
			step{args: "queue rule delete 1", status: 1, stderr: "1: queue: no such rule"},
			step{args: "queue rule delete one", status: 2, stderr: `"one" is no number of a rule`},
			step{args: "queue release ID1", stdout: "1 message released\n"},
			step{args: "queue release ID1 --dry-run", status: 1, stdout: "0 messages selected\n"},
		)
	})
}

func TestATrailBeginsAfterItsCursorAndSaysWhenNothingMatches(t *testing.T) {
	l := newLab(t)
	ids := l.seed()
	var all []listedEvent
	for line := range strings.Lines(l.do("", "trail", "--json")) {
		var e listedEvent
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	if len(all) != 7 || all[0].Seq != 1 || all[6].Seq != 7 {
		t.Fatalf("%d events: %+v", len(all), all)
	}
	l.steps(ids,
		step{args: "trail --after 7"},
		step{args: "trail --site shop --recipient x@held.example", stdout: "DATE  ID3  held      to x@held.example  attempt 1  (waits for a person)\n"},
		step{args: "trail --id nope", status: 1, stderr: "no event matches"},
		step{args: "trail --after 100", status: 1, stderr: "the events after 100 are not all kept any more"},
		step{args: "trail --after x", status: 2, stderr: "usage: panelmail trail"},
	)
}
