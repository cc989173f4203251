package interop_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/panelmail/panelmail/internal/interop"
)

// A toolbox runs the queue programs of one mail system by Postfix's names.
type toolbox struct {
	run func(stdin, program string, args ...string) printed
	ids []string // of the messages, in the order in which they were sent
}

// printed is what a program left.
type printed struct {
	Status         int
	Stdout, Stderr string
}

func capture(stdin string, cmd *exec.Cmd) printed {
	var out, problems bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &problems
	err := cmd.Run()
	p := printed{Stdout: out.String(), Stderr: problems.String()}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		p.Status = exit.ExitCode()
	} else if err != nil {
		p = printed{-1, "", err.Error()}
	}
	return p
}

// What differs between two systems with the same messages in them.
var differs = []struct{ pattern, as string }{
	{`[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d( \d{4})?`, "DATE"},
	{`"arrival_time": \d+`, `"arrival_time": N`},
	{`"message_size": \d+`, `"message_size": N`},
	{`(ID\d[*!#]? *) {1,7}\d+ DATE`, "$1 SIZE DATE"},
	{`(?m)^\s*\((host .*|held by the administrator)\)$`, "(REASON)"}, // on hold the hold's is shown
	{`(?s)Received: .*?\nFrom: `, "RECEIVED\nFrom: "},
	{`/usr/sbin/`, ""},
	{`"sender": "MAILER-DAEMON"`, `"sender": ""`}, // as newer versions of Postfix have it
	{`"delay_reason": "[^"]*"`, `"delay_reason": "REASON"`},
	{`-- \d+ Kbytes`, "-- N Kbytes"},
	{`[a-z]+/([0-9A-Za-z]/)?ID(\d)`, "QUEUE/ID$2"},
	{`(?m)^(message_size: )( *\d+)+$`, "${1}N"},
	{`(?m)^named_attribute: (?:log_[hc]|rewrite|client_|reverse|server|helo|protocol|site|dsn_orig|log_protocol|log_message).*\n`, ""},
	{`fatal: usage: .*`, "fatal: usage: "},
}

// masked is what a program printed without that.
func (b *toolbox) masked(p printed) printed {
	mask := func(text string) string {
		for i, id := range b.ids {
			text = strings.ReplaceAll(text, id, fmt.Sprintf("ID%d", i+1))
		}
		for _, d := range differs {
			text = regexp.MustCompile(d.pattern).ReplaceAllString(text, d.as)
		}
		return text
	}
	return printed{p.Status, sorted(mask(p.Stdout)), mask(p.Stderr)}
}

// sorted puts the messages of a list in order: in Postfix they come as the file
// system has them, queue by queue.
func sorted(text string) string {
	header, list, found := strings.Cut(text, "\n")
	if !found || !strings.HasPrefix(header, "-") {
		lines := strings.SplitAfter(text, "\n")
		if strings.HasPrefix(text, "{") {
			slices.Sort(lines)
		}
		return strings.Join(lines, "")
	}
	messages := strings.Split(strings.TrimSpace(list), "\n\n")
	slices.SortFunc(messages, func(a, b string) int { return cmp.Compare(sortKey(a), sortKey(b)) })
	return header + "\n" + strings.Join(messages, "\n\n")
}

// sortKey is the queue of a message in mailq's list, then its ID; what is no
// message comes last.
func sortKey(message string) string {
	mark := regexp.MustCompile(`(?m)^ID(\d)([*!]?)`).FindStringSubmatch(message)
	if mark == nil {
		return "~"
	}
	return map[string]string{"*": "0", "": "1", "!": "2"}[mark[2]] + mark[1]
}

// named puts the IDs of this system where ID1 and so on stand.
func (b *toolbox) named(text string) string {
	for i, id := range b.ids {
		text = strings.ReplaceAll(text, fmt.Sprintf("ID%d", i+1), id)
	}
	return text
}

// learn reads the IDs of all messages from mailq: the n-th is to un@.
func (b *toolbox) learn(n int) error {
	b.ids = make([]string, n)
	list := b.run("", "postqueue", "-j").Stdout
	for line := range strings.Lines(list) {
		m := regexp.MustCompile(`"queue_id": "([0-9A-Za-z]+)".*"address": "u(\d)`).FindStringSubmatch(line)
		if m != nil {
			b.ids[m[2][0]-'1'] = m[1]
		}
	}
	for _, id := range b.ids {
		if id == "" {
			return fmt.Errorf("%d messages should be in the queue:\n%s", n, list)
		}
	}
	return nil
}

// twins starts a Postfix and a server of ours with the same deferred messages:
// one for two recipients, one of the null reverse-path, two more.
func twins(t *testing.T) (postfix, ours *toolbox) {
	t.Helper()
	busy := &interop.Sink{Answer: func(verb, _ string) string {
		if verb == "RCPT" {
			return "450 4.7.1 come back later"
		}
		return ""
	}}
	if err := busy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { busy.Close() })

	p := &interop.Postfix{Main: []string{"enable_long_queue_ids = yes", "relayhost = [127.0.0.1]:" + busy.Addr[strings.LastIndexByte(busy.Addr, ':')+1:]}}
	interop.RunPostfix(t, p)
	postfix = &toolbox{run: func(stdin, program string, args ...string) printed {
		return capture(stdin, exec.Command(interop.Need(t, program), append([]string{"-c", filepath.Join(p.Dir, "conf")}, args...)...))
	}}

	panel := newPanel(t, `delivery.smart_host = "[127.0.0.1]:`+busy.Addr[strings.LastIndexByte(busy.Addr, ':')+1:]+`"`,
		`relay.networks = ["127.0.0.0/8"]`, `queue.backoff_min = "1h"`, `queue.backoff_max = "1h"`)
	links := t.TempDir()
	for _, name := range []string{"mailq", "postqueue", "postsuper", "postcat"} {
		if err := os.Symlink(panel.Binary, filepath.Join(links, name)); err != nil {
			t.Fatal(err)
		}
	}
	ours = &toolbox{run: func(stdin, program string, args ...string) printed {
		cmd := exec.Command(filepath.Join(links, program), append([]string{"-c", "/etc/postfix"}, args...)...)
		cmd.Env = append(os.Environ(), "PANELMAIL_DATA="+filepath.Join(panel.Dir, "data"))
		return capture(stdin, cmd)
	}}
	for addr, box := range map[string]*toolbox{p.Addr: postfix, panel.Addr: ours} {
		fill(t, addr)
		settled(t, box)
	}
	return postfix, ours
}

// fill sends the messages.
func fill(t *testing.T, addr string) {
	t.Helper()
	c, err := interop.NewSubmitter(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Quit()
	for _, m := range []struct {
		from string
		to   []string
	}{
		{"me@shop.example", []string{"u1@far.example", "v1@far.example"}},
		{"", []string{"u2@far.example"}},
		{"me@shop.example", []string{"u3@far.example"}},
		{"me@shop.example", []string{"u4@far.example"}},
	} {
		content := "From: a@shop.example\r\nTo: you@far.example\r\nDate: Sat, 21 Nov 2026 05:35:26 +0000\r\nMessage-ID: <1@shop.example>\r\nSubject: x\r\n\r\nhello\r\n.dot\r\n"
		if _, err := c.Send(m.from, m.to, interop.Stuffed([]byte(content))); err != nil {
			t.Fatal(err)
		}
	}
}

// settled waits until all of them are deferred, and learns their IDs.
func settled(t *testing.T, box *toolbox) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		list := box.run("", "postqueue", "-j").Stdout
		if strings.Count(list, `"queue_name": "deferred"`) == 4 && strings.Count(list, "come back later") == 5 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("not deferred:\n%s", list)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err := box.learn(4); err != nil {
		t.Fatal(err)
	}
}

func TestTheQueueToolsPrintWhatThoseOfPostfixPrint(t *testing.T) {
	postfix, ours := twins(t)
	for _, step := range []struct {
		command, stdin string
		apart          bool // the answers may differ
	}{
		{command: "postsuper -h ID1"},
		{command: "postsuper -h ID1"},
		{command: "postsuper -h ID2 -h ID3 -h nope"},
		{command: "postqueue -p"},
		{command: "postsuper -H ID1 -H ID1"},
		{command: "postsuper -H ALL"},
		{command: "postsuper -H all"},
		{command: "postsuper -h a/b"},
		{command: "postsuper -h ALL"},
		{command: "postqueue -p"},
		{command: "postqueue -j"},
		{command: "postsuper -d ID4 deferred active incoming"},
		{command: "postsuper -d ID4 hold"},
		{command: "postsuper -d ID4"},
		{command: "postsuper -d ID3 bogus"},
		{command: "postsuper -H -", stdin: "ID3\nID1\n\nID4\n"},
		{command: "postcat -q ID1"},
		{command: "postcat -qe ID2"},
		{command: "postcat -q ID1 nope"},
		{command: "postcat -qb ID1"},
		{command: "postcat -x"},
		{command: "postsuper -d"},
		{command: "postsuper -x"},
		{command: "postsuper -d ID1 -h ID1 -r ID1"},
		{command: "postsuper -f ID2"},
		{command: "postsuper -f ID3 maildrop incoming"},
		{command: "postsuper -d ALL", apart: true}, // what Postfix gives up stays until its time comes
		{command: "postsuper -d ALL -h ALL -r ALL -e ALL"},
		{command: "postqueue -p"},
		{command: "postqueue -j"},
		{command: "mailq"},
		{command: "postqueue"},
		{command: "postqueue -p -j"},
		{command: "postqueue -x"},
		{command: "postqueue -i nope"},
		{command: "postqueue -i a/b"},
		{command: "postqueue -f"},
	} {
		answers := map[*toolbox]printed{}
		for _, box := range []*toolbox{postfix, ours} {
			words := strings.Fields(box.named(step.command))
			if words[0] == "mailq" { // has the options of sendmail
				words = []string{"postqueue", "-p"}
			}
			answers[box] = box.masked(box.run(box.named(step.stdin), words[0], words[1:]...))
		}
		if diff := gocmp.Diff(answers[postfix], answers[ours]); diff != "" && !step.apart {
			t.Errorf("%s (-Postfix +ours):\n%s", step.command, diff)
		}
	}
}
