package queuetest

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

var turnCases = []testCase{
	{name: "MailOfASiteLeavesInTheOrderInWhichItCame", options: queue.Options{Concurrency: 1}, run: inOrder},
	{name: "AMessageWaitsForOneOfEachOtherSite", options: queue.Options{Concurrency: 1}, run: func(l *lab) { takeTurns(l, 1, 300) }},
	{name: "AMessageWaitsForOneOfEachOtherSiteWhereManyGoAtOnce", run: func(l *lab) { takeTurns(l, 1, 300) }},
	{name: "AMessageWaitsForOneOfEachOfTenSites", options: queue.Options{Concurrency: 1}, run: func(l *lab) { takeTurns(l, 10, 30) }},
	{name: "AMessageWaitsForOneOfEachOfTenSitesWhereManyGoAtOnce", run: func(l *lab) { takeTurns(l, 10, 40) }},
	{name: "InteractiveMailGoesFirstAndStarvesNobody", options: queue.Options{Concurrency: 1}, run: classes},
	{name: "BulkMailClaimedAheadKeepsNothingElseWaiting", run: urgent},
	{name: "LargeMessagesCountAsSeveral", options: queue.Options{Concurrency: 1}, run: largeMessages},
	{name: "AReportIsOfTheSiteThatCausedIt", options: queue.Options{Concurrency: 1}, run: reportsSite},
}

// from is a message of a site to the lane where all meet.
func from(site string, p queue.Priority) queue.Message {
	m := message("alice@site.test", "bob@far.test")
	m.Origin.Site, m.Priority = site, p
	return m
}

// oneByOne has deliveries take a second and end one by one.
func (l *lab) oneByOne() {
	n := 0
	l.answer(func(d *transport.Delivery) transport.Report {
		l.mu.Lock()
		n++
		took := time.Second + time.Duration(n%20)*10*time.Millisecond
		l.mu.Unlock()
		time.Sleep(took)
		return d.All(ok)
	})
}

// takeTurns has sites with as many messages each keep a lane busy, and others send
// one message each, one after the other. Each is served after at most one delivery
// of each site.
func takeTurns(l *lab, sites, messages int) {
	l.oneByOne()
	for range messages {
		for site := range sites {
			l.enqueue(from(fmt.Sprintf("busy%d", site), queue.Normal), "x\r\n")
		}
	}
	l.run()
	l.sleep(2500 * time.Millisecond)
	for _, site := range []string{"a", "m", "z", "busy0a"} {
		before := len(l.seen())
		id := l.enqueue(from(site, queue.Normal), "x\r\n")
		l.sleep(time.Duration(sites+3) * 1200 * time.Millisecond)
		waited := -1
		for i, n := range l.seen()[before:] {
			if n.ID == id {
				waited = i
			}
		}
		if waited < 0 || waited > sites {
			l.Errorf("the message of site %s waited for %d deliveries, want at most %d", site, waited, sites)
		}
	}
	l.sleep(2 * time.Hour)
	l.empty()
}

// served tells the first letters of the reverse-paths of what was delivered.
func (l *lab) served(letters map[string]string) string {
	var b strings.Builder
	for _, n := range l.seen() {
		b.WriteString(letters[n.ID])
	}
	return b.String()
}

// classes has mail of all priorities wait in one lane.
func classes(l *lab) {
	l.oneByOne()
	letters := map[string]string{}
	for range 24 {
		letters[l.enqueue(from("one", queue.Bulk), "x\r\n")] = "b"
		letters[l.enqueue(from("one", queue.Normal), "x\r\n")] = "n"
		letters[l.enqueue(from("one", queue.Interactive), "x\r\n")] = "i"
	}
	l.run()
	l.sleep(time.Hour)
	want := "iiiiiiiiin" + "iiiiiiiiin" + "iiiiii" + // every tenth
		"nnnnnnnb" + "nnnnnnnnnb" + "nnnnnn" + // normal mail had two of its nine
		strings.Repeat("b", 22)
	if diff := cmp.Diff(want, l.served(letters)); diff != "" {
		l.Errorf("turns (-want +got):\n%s", diff)
	}
	l.empty()
}

// urgent sends mail where the lane is full of what goes after it.
func urgent(l *lab) {
	l.oneByOne()
	for range 400 {
		l.enqueue(from("one", queue.Bulk), "x\r\n")
	}
	l.run()
	l.sleep(2500 * time.Millisecond)
	before := len(l.seen())
	ids := map[string]bool{}
	for _, p := range []queue.Priority{queue.Normal, queue.Interactive} {
		for range 10 {
			ids[l.enqueue(from("one", p), "x\r\n")] = true
		}
	}
	l.sleep(2400 * time.Millisecond)
	for _, n := range l.seen()[before:] {
		delete(ids, n.ID)
	}
	if len(ids) > 0 {
		l.Errorf("%d of 20 wait for bulk mail after %d deliveries", len(ids), len(l.seen())-before)
	}
	l.sleep(time.Hour)
	l.empty()
}

// largeMessages has a site with messages of three turns, and one with small ones.
func largeMessages(l *lab) {
	l.oneByOne()
	letters := map[string]string{}
	content := strings.Repeat(strings.Repeat("0", 70)+"\r\n", 10_000)
	for i := range 40 {
		if i%4 == 0 {
			letters[l.enqueue(from("large", queue.Normal), content)] = "l"
		}
		letters[l.enqueue(from("small", queue.Normal), "x\r\n")] = "s"
	}
	l.run()
	l.sleep(24 * 1200 * time.Millisecond)
	if n := strings.Count(l.served(letters)[:20], "l"); n < 4 || n > 6 {
		l.Errorf("large messages had %d of twenty deliveries: %s", n, l.served(letters))
	}
	l.sleep(time.Hour)
	l.empty()
}

// reportsSite has a site cause a report beside its own backlog and that of another:
// the report takes the site's turn, behind what the site sent before.
func reportsSite(l *lab) {
	l.oneByOne()
	letters := map[string]string{}
	for range 5 {
		letters[l.enqueue(from("one", queue.Normal), "x\r\n")] = "1"
		letters[l.enqueue(from("two", queue.Normal), "x\r\n")] = "2"
	}
	m := from("two", queue.Normal)
	m.Envelope.ReversePath = "carol@far.test"
	m.Envelope.Recipients[0].Address = "nobody@gone.test"
	l.enqueue(m, "x\r\n")
	l.mu.Lock()
	script := l.script
	l.mu.Unlock()
	l.answer(func(d *transport.Delivery) transport.Report {
		if d.Envelope.Recipients[0].Address == "nobody@gone.test" {
			return d.All(refused)
		}
		if d.Envelope.ReversePath == "" && d.Origin.Site != "two" {
			l.Errorf("the report is of site %q", d.Origin.Site)
		}
		return script(d)
	})
	l.run()
	l.sleep(time.Hour)
	if n := len(l.seen()); n != 12 {
		l.Errorf("%d deliveries", n)
	}
	l.empty()
}

// inOrder has a backlog of one site in one lane, and some that came one by one.
func inOrder(l *lab) {
	var sent, left []string
	for range 30 {
		sent = append(sent, l.send("u@far.test"))
		l.sleep(time.Millisecond)
	}
	l.answer(func(d *transport.Delivery) transport.Report {
		time.Sleep(time.Second)
		return d.All(ok)
	})
	l.run()
	l.sleep(time.Minute)
	for range 5 {
		sent = append(sent, l.send("u@far.test"))
	}
	l.sleep(time.Minute)
	for _, n := range l.seen() {
		left = append(left, n.ID)
	}
	if diff := cmp.Diff(sent, left); diff != "" {
		l.Errorf("(-sent +left)\n%s", diff)
	}
}
