package main

import (
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/panelmail/panelmail/queue"
)

const filterArgs = "[ID …] [--all] [--site S] [--sender A] [--recipient A] [--domain D] [--state S] [--older-than D] [--dry-run]"

func queueCommands() []command {
	return []command{
		{name: "queue list", args: strings.TrimSuffix(filterArgs, " [--dry-run]"), short: "one line a message", run: queueList},
		{name: "queue show", args: "ID", short: "all that is known about a message", run: queueShow},
		{name: "queue cat", args: "ID", short: "the message as stored", run: queueCat},
		{name: "queue hold", args: filterArgs, short: "stop messages", run: changeQueue("held", (*queue.Queue).Hold)},
		{name: "queue release", args: filterArgs, short: "let held messages go", run: changeQueue("released", (*queue.Queue).Release)},
		{name: "queue retry", args: filterArgs, short: "try deferred messages now", run: changeQueue("due now", (*queue.Queue).Retry)},
		{name: "queue requeue", args: filterArgs, short: "start over, under a new queue ID", run: changeQueue("requeued", (*queue.Queue).Requeue)},
		{name: "queue fail", args: filterArgs + " [--reason TEXT]", short: "bounce messages now", run: failQueue},
		{name: "queue delete", args: filterArgs + " [--yes]", short: "delete messages; nobody is told", run: deleteQueue, prepare: confirmDelete},
		{name: "queue stats", args: "[--ages] [--alert-above N]", short: "depth by state, destination and site; with --ages by age too", run: queueStats},
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

// inState selects a state of a recipient, or a queue of Postfix's, as lists name
// them.
func (f *filter) inState() error {
	name := f.state
	switch name {
	case "incoming":
		f.match.Untried, name = true, "waiting"
	case "deferred":
		f.match.Tried, name = true, "waiting"
	}
	state, err := queue.ParseState(name)
	if err != nil || state.Final() {
		return fmt.Errorf("no state %q: waiting (which is incoming or deferred), active or hold", f.state)
	}
	f.match.State = queue.InState(state)
	return nil
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
	f.match.Domain = strings.TrimPrefix(f.match.Domain, "@")
	if f.state != "" {
		if err := f.inState(); err != nil {
			return f, c.usage("%v", err)
		}
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
