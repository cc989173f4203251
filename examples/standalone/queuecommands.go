package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/panelmail/panelmail/queue"
	"github.com/panelmail/panelmail/transport"
)

const filterArgs = "[ID …] [--all] [--site S] [--sender A] [--recipient A] [--domain D] [--state S] [--older-than D] [--dry-run]"

func queueCommands() []command {
	return []command{
		{name: "queue list", args: strings.TrimSuffix(filterArgs, " [--dry-run]"), short: "one line a message, recipients below", run: queueList},
		{name: "queue show", args: "ID", short: "all that is known about a message", run: queueShow},
		{name: "queue cat", args: "ID", short: "the message as stored", run: queueCat},
		{name: "queue hold", args: filterArgs, short: "stop messages", run: changeQueue("held", (*queue.Queue).Hold)},
		{name: "queue release", args: filterArgs, short: "let held messages go", run: changeQueue("released", (*queue.Queue).Release)},
		{name: "queue retry", args: filterArgs, short: "try deferred messages now", run: changeQueue("due now", (*queue.Queue).Retry)},
		{name: "queue requeue", args: filterArgs, short: "start over, under a new queue ID", run: changeQueue("requeued", (*queue.Queue).Requeue)},
		{name: "queue fail", args: filterArgs + " [--reason TEXT]", short: "bounce messages now", run: failQueue},
		{name: "queue delete", args: filterArgs + " [--yes]", short: "delete messages; nobody is told", run: deleteQueue, prepare: confirmDelete},
		{name: "queue stats", args: "[--alert-above N]", short: "depth by state, destination and site", run: queueStats},
		{name: "mailq", short: "the queue in Postfix's format", run: mailq},
	}
}

// filter is a selection on a command line.
type filter struct {
	match  queue.Match
	state  string
	older  duration
	dryRun bool
}

func (f *filter) define(fs *flag.FlagSet) {
	fs.BoolVar(&f.match.All, "all", false, "")
	fs.StringVar(&f.match.Site, "site", "", "")
	fs.StringVar(&f.match.Sender, "sender", "", "")
	fs.StringVar(&f.match.Recipient, "recipient", "", "")
	fs.StringVar(&f.match.Domain, "domain", "", "")
	fs.StringVar(&f.state, "state", "", "")
	fs.TextVar(&f.older, "older-than", duration(0), "")
	fs.BoolVar(&f.dryRun, "dry-run", false, "")
}

// filter reads a selection. With none, everything is selected if all says so,
// else it is an error: a forgotten filter must not delete the queue.
func (c *call) filter(all bool, more func(*flag.FlagSet)) (filter, error) {
	var f filter
	words, err := c.parse(0, -1, func(fs *flag.FlagSet) {
		f.define(fs)
		if more != nil {
			more(fs)
		}
	})
	if err != nil {
		return f, err
	}
	f.match.IDs, f.match.OlderThan = words, time.Duration(f.older)
	if f.state != "" {
		state, err := queue.ParseState(f.state)
		if err != nil {
			return f, c.usage("%v", err)
		}
		f.match.State = queue.InState(state)
	}
	m := f.match
	if !m.All && len(m.IDs) == 0 && m.Site == "" && m.Sender == "" && m.Recipient == "" && m.Domain == "" && m.State == nil && m.OlderThan == 0 {
		if !all {
			return f, c.usage("nothing is selected: name IDs, a filter, or --all")
		}
		f.match.All = true
	}
	return f, nil
}

// listed is a message as printed: the fields of postqueue -j, and ours.
type listed struct {
	Queue      string            `json:"queue_name"`
	ID         string            `json:"queue_id"`
	Arrival    int64             `json:"arrival_time"`
	Size       int64             `json:"message_size"`
	Sender     string            `json:"sender"`
	Recipients []listedRecipient `json:"recipients"`
	State      string            `json:"state"`
	Site       string            `json:"site,omitempty"`
	Login      string            `json:"login,omitempty"`
	Via        transport.Via     `json:"via,omitempty"`
	UID        *int              `json:"uid,omitempty"`
	Client     string            `json:"client,omitempty"`
	Script     string            `json:"script,omitempty"`
	Expires    int64             `json:"expires"`
}

type listedRecipient struct {
	Address  string `json:"address"`
	Reason   string `json:"delay_reason,omitempty"`
	State    string `json:"state"`
	Attempts int    `json:"attempts"`
	Due      int64  `json:"due,omitempty"`
	Lane     string `json:"lane,omitempty"`
}

func listedOf(e queue.Entry) listed {
	l := listed{
		Queue: queueName(e), ID: e.ID, Arrival: e.Arrived.Unix(), Size: e.Size, Sender: e.Envelope.ReversePath,
		State: e.State.String(), Site: e.Origin.Site, Login: e.Origin.Login, Via: e.Origin.Via,
		Client: e.Origin.Client, Script: e.Origin.Script, Expires: e.Expires.Unix(), Recipients: []listedRecipient{},
	}
	if e.Origin.UID >= 0 {
		l.UID = &e.Origin.UID
	}
	for _, r := range e.Recipients {
		if r.State.Final() {
			continue
		}
		row := listedRecipient{Address: r.Address, Reason: reason(r), State: r.State.String(), Attempts: r.Attempts, Lane: r.Lane}
		if !r.Due.IsZero() {
			row.Due = r.Due.Unix()
		}
		l.Recipients = append(l.Recipients, row)
	}
	return l
}

// queueName is the name Postfix has for where the message is.
func queueName(e queue.Entry) string {
	switch e.State {
	case queue.OnHold:
		return "hold"
	case queue.Active:
		return "active"
	}
	for _, r := range e.Recipients {
		if r.Attempts > 0 {
			return "deferred"
		}
	}
	return "incoming"
}

// reason is why a recipient is still here.
func reason(r queue.RecipientEntry) string {
	if r.Reply.Code == 0 {
		return r.Reply.Text
	}
	if r.Host == "" {
		return r.Reply.Error()
	}
	return "host " + r.Host + " said: " + r.Reply.Error()
}

// senderText is a reverse-path for people.
func senderText(path string) string {
	if path == "" {
		return "<>"
	}
	return path
}

func queueList(ctx context.Context, c *call) error {
	f, err := c.filter(true, nil)
	if err != nil {
		return err
	}
	n := 0
	for e, err := range c.server.Queue().Entries(ctx, f.match) {
		if err != nil {
			return err
		}
		n++
		l := listedOf(e)
		if c.json {
			if err := c.object(l); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(c.stdout, "%s  %-8s %8d  %s  %s\n", l.ID, l.Queue, l.Size, e.Arrived.Format("2006-01-02 15:04:05"), senderText(l.Sender))
		for _, r := range l.Recipients {
			fmt.Fprintf(c.stdout, "    %s%s\n", r.Address, prefixed("  (", r.Reason, ")"))
		}
	}
	switch {
	case n == 0 && !f.match.All:
		fmt.Fprintln(c.stderr, "no message matches")
		return errNo
	case n == 0 && !c.json:
		fmt.Fprintln(c.stdout, "the queue is empty")
	}
	return nil
}

func prefixed(before, text, after string) string {
	if text == "" {
		return ""
	}
	return before + text + after
}

// one finds the message with an ID.
func (c *call) one(ctx context.Context) (queue.Entry, error) {
	words, err := c.parse(1, 1, nil)
	if err != nil {
		return queue.Entry{}, err
	}
	for e, err := range c.server.Queue().Entries(ctx, queue.Match{IDs: words}) {
		return e, err
	}
	return queue.Entry{}, fmt.Errorf("%s: %w", words[0], queue.ErrNotFound)
}

func queueShow(ctx context.Context, c *call) error {
	e, err := c.one(ctx)
	if err != nil {
		return err
	}
	l := listedOf(e)
	if c.json {
		return c.object(l)
	}
	fmt.Fprintf(c.stdout, "queue ID   %s\nstate      %s\nsize       %d octets\narrived    %v\nexpires    %v\nsender     %s\norigin     %s\n",
		l.ID, l.Queue, l.Size, e.Arrived.Format(time.RFC3339), e.Expires.Format(time.RFC3339), senderText(l.Sender), originText(e.Origin))
	for _, r := range e.Recipients {
		fmt.Fprintf(c.stdout, "recipient  %s\n  state    %v after %d %s\n", r.Address, r.State, r.Attempts, plural(r.Attempts, "attempt"))
		if !r.State.Final() {
			fmt.Fprintf(c.stdout, "  due      %v\n  lane     %s\n", r.Due.Format(time.RFC3339), r.Lane)
		}
		if text := reason(r); text != "" {
			fmt.Fprintf(c.stdout, "  reason   %s\n", text)
		}
	}
	return nil
}

func originText(o transport.Origin) string {
	parts := []string{string(o.Via)}
	for _, p := range []string{prefixed("site ", o.Site, ""), prefixed("login ", o.Login, ""), prefixed("client ", o.Client, ""), prefixed("script ", o.Script, "")} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	if o.UID >= 0 {
		parts = append(parts, fmt.Sprintf("uid %d", o.UID))
	}
	return strings.Join(parts, ", ")
}

func queueCat(ctx context.Context, c *call) error {
	words, err := c.parse(1, 1, nil)
	if err != nil {
		return err
	}
	content, err := c.server.Queue().Content(ctx, words[0])
	if err != nil {
		return fmt.Errorf("%s: %w", words[0], err)
	}
	defer content.Close()
	_, err = io.Copy(c.stdout, content)
	return err
}

// changeQueue is a command that changes all messages it selects.
func changeQueue(done string, change func(*queue.Queue, context.Context, queue.Match) (int, error)) func(context.Context, *call) error {
	return func(ctx context.Context, c *call) error {
		f, err := c.filter(false, nil)
		if err != nil {
			return err
		}
		return c.change(ctx, f, done, func(ctx context.Context, m queue.Match) (int, error) {
			return change(c.server.Queue(), ctx, m)
		})
	}
}

// change does it, or with --dry-run counts, and prints how many.
func (c *call) change(ctx context.Context, f filter, done string, do func(context.Context, queue.Match) (int, error)) (err error) {
	n := 0
	if f.dryRun {
		done = "selected"
		for _, err := range c.server.Queue().Entries(ctx, f.match) {
			if err != nil {
				return err
			}
			n++
		}
	} else if n, err = do(ctx, f.match); err != nil {
		return err
	}
	if err := c.print(map[string]any{"messages": n, "dry_run": f.dryRun}, "%d %s %s\n", n, plural(n, "message"), done); err != nil {
		return err
	}
	if n == 0 {
		return errNo
	}
	return nil
}

func plural(n int, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}

func failQueue(ctx context.Context, c *call) error {
	text := "the operator gave the message up"
	f, err := c.filter(false, func(fs *flag.FlagSet) { fs.StringVar(&text, "reason", text, "") })
	if err != nil {
		return err
	}
	return c.change(ctx, f, "bounced", func(ctx context.Context, m queue.Match) (int, error) {
		return c.server.Queue().Fail(ctx, m, text)
	})
}

func deleteQueue(ctx context.Context, c *call) error {
	f, yes, err := c.deletion()
	if err != nil {
		return err
	}
	if f.match.All && !yes && !f.dryRun {
		return usagef("queue delete --all deletes every message: say --yes")
	}
	return c.change(ctx, f, "deleted", c.server.Queue().Remove)
}

// deletion reads the arguments of queue delete.
func (c *call) deletion() (f filter, yes bool, err error) {
	f, err = c.filter(false, func(fs *flag.FlagSet) { fs.BoolVar(&yes, "yes", false, "") })
	return f, yes, err
}

// confirmDelete asks on a terminal before everything is deleted.
func confirmDelete(a *app, cmd command, args []string) ([]string, error) {
	in, ok := a.stdin.(*os.File)
	a.stdin = nil
	f, yes, err := (&call{command: cmd, args: args}).deletion()
	if err != nil || !f.match.All || yes || f.dryRun || !ok || !term.IsTerminal(int(in.Fd())) {
		return args, err
	}
	fmt.Fprint(a.stderr, "Delete every message in the queue? Type yes: ")
	var answer string
	if _, err := fmt.Fscanln(in, &answer); err != nil || answer != "yes" {
		return nil, errNo
	}
	return append(args, "--yes"), nil
}
