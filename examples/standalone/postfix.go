package main

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/panelmail/panelmail/queue"
)

// postfixCommands are programs of Postfix's for the queue, for those who know
// them and for the scripts that run them. They can also be run under their own
// names, as symbolic links to this program.
func postfixCommands() []command {
	return []command{
		{name: "mailq", short: "the queue in Postfix's format", run: mailq, postfix: true},
		{name: "postqueue", args: "-p | -j | -f | -i ID | -s DOMAIN", short: "list the queue or try it now, as postqueue(1)", run: postqueue, postfix: true},
		{name: "postsuper", args: "[-d ID] [-h ID] [-H ID] [-r ID] [-e ID] [-f ID] [QUEUE …]", short: "change the queue, as postsuper(1)", run: postsuper, prepare: readQueueIDs, postfix: true},
		{name: "postcat", args: "-q [-e] [-h] [-b] ID …", short: "show a message, as postcat(1)", run: postcat, postfix: true},
	}
}

// toolStatus is the exit status with which these programs give up: 69 is
// EX_UNAVAILABLE (sysexits.h).
var toolStatus = map[string]int{"mailq": 69, "postqueue": 69, "postsuper": 1, "postcat": 1}

// fatalError ends a program of Postfix's with a status that is not its usual
// one.
type fatalError struct {
	status int
	text   string
}

// Error implements error.
func (f fatalError) Error() string { return f.text }

// An option is a letter of the command line, and its value if it takes one.
type option struct {
	letter byte
	value  string
}

// options reads a command line as getopt(3) does: letters can be joined, a value
// can follow its letter at once, and other arguments can stand between. takes has
// the letters, those with a value followed by a colon.
func (c *call) options(takes string) (found []option, rest []string, err error) {
	for i := 0; i < len(c.args); i++ {
		word := c.args[i]
		if word == "--" {
			return found, append(rest, c.args[i+1:]...), nil
		}
		if len(word) < 2 || word[0] != '-' {
			rest = append(rest, word)
			continue
		}
		for j := 1; j < len(word); j++ {
			at := strings.IndexByte(takes, word[j])
			if at < 0 || word[j] == ':' {
				fmt.Fprintf(c.stderr, "%s: invalid option -- '%c'\n", c.command.name, word[j])
				return nil, nil, c.toolUsage()
			}
			o := option{letter: word[j]}
			if strings.HasPrefix(takes[at+1:], ":") {
				if o.value = word[j+1:]; o.value == "" {
					if i++; i >= len(c.args) {
						fmt.Fprintf(c.stderr, "%s: option requires an argument -- '%c'\n", c.command.name, o.letter)
						return nil, nil, c.toolUsage()
					}
					o.value = c.args[i]
				}
				j = len(word)
			}
			found = append(found, o)
		}
	}
	return found, rest, nil
}

func (c *call) toolUsage() error {
	return fatalError{toolStatus[c.command.name], fmt.Sprintf("usage: %s %s", c.command.name, c.command.args)}
}

// validQueueID reports whether Postfix would take a name for a queue ID.
func validQueueID(id string) bool {
	return id != "" && len(id) <= 100 && !strings.ContainsFunc(id, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

// queueName is the name Postfix has for where a message is.
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

// byQueue lists messages in the order of Postfix's queues (showq(8)). One that
// moves on meanwhile can be listed twice, as there.
func (c *call) byQueue(list func(queue.Match) iter.Seq2[queue.Entry, error]) iter.Seq2[queue.Entry, error] {
	return func(yield func(queue.Entry, error) bool) {
		for _, pass := range []struct {
			queue string
			match queue.Match
		}{
			{"active", queue.Match{State: queue.InState(queue.Active)}},
			{"incoming", queue.Match{State: queue.InState(queue.Waiting), Untried: true}},
			{"deferred", queue.Match{State: queue.InState(queue.Waiting)}},
			{"hold", queue.Match{State: queue.InState(queue.OnHold)}},
		} {
			for e, err := range list(pass.match) {
				if err == nil && queueName(e) != pass.queue {
					continue
				}
				if !yield(e, err) || err != nil {
					return
				}
			}
		}
	}
}

// left are the recipients that are not done with.
func left(e queue.Entry) []queue.RecipientEntry {
	return slices.DeleteFunc(slices.Clone(e.Recipients), func(r queue.RecipientEntry) bool { return r.State.Final() })
}
