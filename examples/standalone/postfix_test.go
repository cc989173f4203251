package main

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

// played runs the program under the name of one of Postfix's.
func (l *lab) played(stdin, name string, args ...string) answer {
	l.t.Helper()
	l.t.Setenv("PANELMAIL_DATA", l.data)
	var out, problems strings.Builder
	status := run(l.t.Context(), append([]string{"/usr/sbin/" + name}, args...), strings.NewReader(stdin), &out, &problems)
	return answer{status, out.String(), problems.String()}
}

func TestPostsuperTellsWhatPostfixTells(t *testing.T) {
	eachWay(t, func(t *testing.T, l *lab, ids []string) {
		one, two, three := ids[0], ids[1], ids[2]
		for _, s := range []struct {
			args   string
			stdin  string
			status int
			stderr string
		}{
			{args: "-h " + one, stderr: "ID1: placed on hold\nPlaced on hold: 1 message\n"},
			{args: "-h " + one, stderr: "Placed on hold: 0 messages\n"},
			{args: "-h nope -h " + strings.ToLower(one), stderr: "Placed on hold: 0 messages\n"},
			{args: "-h all", stderr: "Placed on hold: 0 messages\n"},
			{args: "-h../x", stderr: "warning: invalid mail queue id: ../x\nPlaced on hold: 0 messages\n"},
			{args: "-h ALL deferred", stderr: "Placed on hold: 1 message\n"},
			{args: "-H - hold", stdin: one + "\n" + two + "\n\n", stderr: "ID1: released from hold\nID2: released from hold\nwarning: invalid mail queue id: \nReleased from hold: 2 messages\n"},
			{args: "-d " + three + " deferred active", stderr: "Deleted: 0 messages\n"},
			{args: "-d " + three + " bogus", status: 1, stderr: "fatal: invalid directory name: bogus\n"},
			{args: "-e ALL maildrop", stderr: "Force-expired: 0 messages\n"},
			{args: "-e " + three, stderr: "Force-expired: 0 messages\n"}, // on hold nothing happens
			{args: "-h " + two + " -d " + three + " -H " + three, stderr: "ID3: removed\nID2: placed on hold\nDeleted: 1 message\nPlaced on hold: 1 message\nReleased from hold: 0 messages\n"},
			{args: "-f " + two, stderr: "ID2: expired\nID2: released from hold\nForce-expired: 1 message\nReleased from hold: 1 message\n"},
			{args: "-d", status: 1, stderr: "option requires an argument -- 'd'\nfatal: usage: postsuper [-d ID] [-h ID] [-H ID] [-r ID] [-e ID] [-f ID] [QUEUE …]\n"},
			{args: "-x", status: 1, stderr: "invalid option -- 'x'\nfatal: usage: postsuper [-d ID] [-h ID] [-H ID] [-r ID] [-e ID] [-f ID] [QUEUE …]\n"},
			{args: "-sv -c /etc/postfix"},
			{args: "-r" + one, stderr: "ID1: requeued\nRequeued: 1 message\n"},
			{args: "-r " + one, stderr: "Requeued: 0 messages\n"},
			{args: "-r ALL hold", stderr: "Requeued: 0 messages\n"},
			{args: "-d ALL", stderr: "Deleted: 1 message\n"},
			{args: "-d ALL -h ALL", stderr: "Deleted: 0 messages\nPlaced on hold: 0 messages\n"},
		} {
			got := l.played(s.stdin, "postsuper", strings.Fields(s.args)...)
			stderr := strings.NewReplacer(one, "ID1", two, "ID2", three, "ID3", "postsuper: ", "").Replace(got.Stderr)
			if diff := cmp.Diff(answer{s.status, "", s.stderr}, answer{got.Status, got.Stdout, stderr}); diff != "" {
				t.Errorf("postsuper %s (-want +got):\n%s", s.args, diff)
			}
		}
	})
}

func TestGivingEverythingUpLeavesAloneWhatIsOnHold(t *testing.T) {
	l := newLab(t)
	ids := l.seed()
	if got, want := l.played("", "postsuper", "-e", "ALL"), (answer{0, "", "postsuper: Force-expired: 2 messages\n"}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	l.steps(ids,
		step{args: "queue list ID3", stdout: "ID3  hold          254  DATE  me@shop.example  x@held.example (waits for a person)\n"},
		step{args: "queue list ID1", status: 1, stderr: "no message matches"},
	)
}

func TestPostqueueListsAndFlushes(t *testing.T) {
	eachWay(t, func(t *testing.T, l *lab, ids []string) {
		down := "postqueue: warning: Mail system is down -- accessing queue directly\n"
		flush := answer{69, "", "postqueue: fatal: Cannot flush mail queue - mail system is down\n"}
		if strings.HasSuffix(t.Name(), "true") {
			down, flush = "", answer{}
		}
		got := l.played("", "postqueue", "-j")
		want := `{"queue_name": "deferred", "queue_id": "ID1", "arrival_time": DATE, "message_size": 233, "forced_expire": false, "sender": "me@shop.example", ` +
			`"recipients": [{"address": "u@late.example", "delay_reason": "450 4.7.1 come back later"}, {"address": "v@late.example", "delay_reason": "450 4.7.1 come back later"}]}` + "\n"
		first, _, _ := strings.Cut(got.Stdout, "\n")
		first = date.ReplaceAllString(strings.ReplaceAll(first, ids[0], "ID1"), "DATE") + "\n"
		if diff := cmp.Diff(answer{0, want, down}, answer{got.Status, first, got.Stderr}); diff != "" {
			t.Errorf("postqueue -j (-want +got):\n%s", diff)
		}
		if list := l.played("", "postqueue", "-p"); list != (answer{0, l.do("", "mailq"), down}) {
			t.Errorf("postqueue -p: %+v", list)
		}
		for _, args := range [][]string{{"-f"}, {"-i", "nope"}, {"-i", ids[0]}, {"-s", "late.example"}} {
			if diff := cmp.Diff(flush, l.played("", "postqueue", args...)); diff != "" {
				t.Errorf("postqueue %q (-want +got):\n%s", args, diff)
			}
		}
		usage := "postqueue: fatal: usage: postqueue -p | -j | -f | -i ID | -s DOMAIN\n"
		for args, stderr := range map[string]string{
			"": usage, "-p -f": usage, "-p extra": usage,
			"-x":       "postqueue: invalid option -- 'x'\n" + usage,
			"-i a/b":   `postqueue: fatal: Cannot flush queue ID - invalid name: "a/b"` + "\n",
			"-s u@a.b": `postqueue: fatal: Cannot flush mail queue - invalid destination: "u@a.b"` + "\n",
		} {
			if diff := cmp.Diff(answer{69, "", stderr}, l.played("", "postqueue", strings.Fields(args)...)); diff != "" {
				t.Errorf("postqueue %s (-want +got):\n%s", args, diff)
			}
		}
	})
}

func TestPostcatShowsTheParts(t *testing.T) {
	eachWay(t, func(t *testing.T, l *lab, ids []string) {
		stored := strings.ReplaceAll(l.do("", "queue", "cat", ids[0]), "\r\n", "\n")
		header, body, _ := strings.Cut(stored, "\n\n")
		header, body = header+"\n", "\n"+body
		envelope := `message_size:             233               0               2               0             233               0
message_arrival_time: DATE
create_time: DATE
named_attribute: log_ident=ID1
sender: me@shop.example
named_attribute: site=shop
named_attribute: log_message_origin=api
original_recipient: u@late.example
recipient: u@late.example
original_recipient: v@late.example
recipient: v@late.example
`
		whole := func(content string) string {
			return "*** ENVELOPE RECORDS deferred/ID1 ***\n" + envelope + "*** MESSAGE CONTENTS deferred/ID1 ***\n" + content +
				"*** HEADER EXTRACTED deferred/ID1 ***\n*** MESSAGE FILE END deferred/ID1 ***\n"
		}
		mask := strings.NewReplacer(ids[0], "ID1")
		for args, want := range map[string]string{
			"-q": whole(header + body), "-qe": whole(""), "-qeb": whole(body), "-q -h": header, "-qb": body, "-bhq": stored,
		} {
			got := l.played("", "postcat", append(strings.Fields(args), ids[0])...)
			text := asctime.ReplaceAllString(mask.Replace(got.Stdout), "DATE")
			if diff := cmp.Diff(answer{0, mask.Replace(want), ""}, answer{got.Status, text, got.Stderr}); diff != "" {
				t.Errorf("postcat %s (-want +got):\n%s", args, diff)
			}
		}
		missing := answer{1, header, "postcat: fatal: open queue file nope: No such file or directory\n"}
		if diff := cmp.Diff(missing, l.played("", "postcat", "-qh", ids[0], "nope", ids[0])); diff != "" {
			t.Errorf("a message that is not there (-want +got):\n%s", diff)
		}
		if got := l.played("", "postcat", "-q"); got != (answer{}) {
			t.Errorf("no message: %+v", got)
		}
		if got := l.played("", "postcat", "/etc/passwd"); got.Status != 1 || got.Stdout != "" {
			t.Errorf("a file: %+v", got)
		}
	})
}

func TestMailqListsTheQueuesInPostfixOrder(t *testing.T) {
	l := newLab(t)
	ids := l.seed()
	l.do("", "queue", "hold", ids[0])
	l.do("", "queue", "requeue", ids[2]) // not tried yet
	var order []string
	for line := range strings.Lines(l.do("", "postqueue", "-j")) {
		name, _, _ := strings.Cut(strings.TrimPrefix(line, `{"queue_name": "`), `"`)
		order = append(order, name)
	}
	if diff := cmp.Diff([]string{"incoming", "deferred", "hold"}, order); diff != "" {
		t.Errorf("order of the queues (-want +got):\n%s", diff)
	}
}

func TestALineIsNotCutAndItsEndIsThisSystems(t *testing.T) {
	long := strings.Repeat("x", 40_000)
	for content, want := range map[string]string{
		"A: b\r\n\r\nbody\r\n":                                     "A: b\n|\nbody\n",
		"A: b\r\nC: " + long + "\r\n\r\nb\r\n":                     "A: b\nC: " + long + "\n|\nb\n",
		"A: b\r\n\r\n" + long + "\r\nend":                          "A: b\n|\n" + long + "\nend",
		"A: b\r\n\r\n" + strings.Repeat("x", 32<<10-1) + "\r\nend": "A: b\n|\n" + strings.Repeat("x", 32<<10-1) + "\nend",
		"A: b\r\nno body\r\n":                                      "A: b\nno body\n|",
		"\r\nno header\r\n":                                        "|\nno header\n",
	} {
		var header, body strings.Builder
		if err := copyLines(&header, strings.NewReader(content), parts{header: true}); err != nil {
			t.Fatal(err)
		}
		if err := copyLines(&body, strings.NewReader(content), parts{body: true}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, header.String()+"|"+body.String()); diff != "" {
			t.Errorf("%.20q (-want +got):\n%s", content, diff)
		}
	}
}

func TestABarIsDrawnNowAndThenAndTakenAway(t *testing.T) {
	var screen strings.Builder
	b := &bar{w: &screen, total: 4000, what: "messages", done: "held"}
	b.at(1000)
	b.at(2000) // at once after the other
	b.drawn = b.drawn.Add(-time.Second)
	b.at(4001)
	b.end()
	want := "\r[#######                       ]  25%  1000 of 4000 messages held" +
		"\r[##############################] 100%  4000 of 4000 messages held\r\x1b[K"
	if diff := cmp.Diff(want, screen.String()); diff != "" {
		t.Error(diff)
	}
	(&bar{w: io.Discard, total: 1}).end()
}

func TestABarIsForLongChangesOnATerminal(t *testing.T) {
	for _, c := range []struct {
		name     string
		terminal bool
		dry      bool
		messages int
		bar      bool
	}{
		{"many on a terminal", true, false, progressFrom, true},
		{"few on a terminal", true, false, progressFrom - 1, false},
		{"many, counted only", true, true, progressFrom, false},
		{"many in a script", false, false, progressFrom, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var screen strings.Builder
			m := queue.Match{DryRun: c.dry}
			count := func(_ context.Context, m queue.Match) (int, error) {
				if !m.DryRun {
					t.Error("they were changed, not counted")
				}
				return c.messages, nil
			}
			on := &call{terminal: c.terminal, stderr: &screen}
			end, err := on.progress(t.Context(), &m, "held", count)
			if err != nil {
				t.Fatal(err)
			}
			if (m.Progress != nil) != c.bar {
				t.Fatalf("a bar: %v, want %v", m.Progress != nil, c.bar)
			}
			if c.bar {
				m.Progress(progressFrom / 2)
			}
			end()
			if drawn := strings.Contains(screen.String(), " 50%  1000 of 2000 messages held"); drawn != c.bar {
				t.Errorf("on the screen: %q", screen.String())
			}
		})
	}
}

func TestWhatComesFromTheNetworkCannotMoveTheCursor(t *testing.T) {
	got := reason(queue.RecipientEntry{Host: "mx.example"})
	if got != "" {
		t.Errorf("no reply: %q", got)
	}
	if got := printable("a\x1b[2J\r\nb\x80ü\u009b"); got != "a?[2J??b?ü?" {
		t.Errorf("%q", got)
	}
}

// TestWhatIsGivenUpIsMarked has a message that nobody has bounced yet.
func TestWhatIsGivenUpIsMarked(t *testing.T) {
	e := queue.Entry{ID: "ID1", State: queue.OnHold, Envelope: transport.Envelope{Recipients: make([]transport.Recipient, 2)}, Recipients: []queue.RecipientEntry{
		{Address: "gone@x.example", State: queue.Dead, GivenUp: "it is over"},
		{Address: "a@x.example", State: queue.OnHold},
	}}
	for _, given := range []string{"", "the customer left"} {
		e.Recipients[1].GivenUp = given
		var out strings.Builder
		if err := showMessage(&out, e); err != nil {
			t.Fatal(err)
		}
		var shown strings.Builder
		(&call{stdout: &shown}).showEntry(e)
		if told := strings.Contains(shown.String(), "given up the customer left"); told != (given != "") {
			t.Errorf("given up because of %q:\n%s", given, shown.String())
		}
		if marked := strings.HasPrefix(out.String(), "ID1!# "); marked != (given != "") || listedOf(e).Forced != marked {
			t.Errorf("given up because of %q: %v\n%s", given, listedOf(e), out.String())
		}
	}
}
