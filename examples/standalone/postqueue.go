package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/panelmail/panelmail/queue"
)

// postqueue lists the queue, or has what is deferred in it tried now. Unlike
// Postfix's it can do that for any domain: none has to be set up for it.
func postqueue(ctx context.Context, c *call) error {
	found, rest, err := c.options("c:fi:jps:v")
	if err != nil {
		return err
	}
	var what option
	for _, o := range found {
		switch o.letter {
		case 'c', 'v':
		default:
			if what.letter != 0 {
				return c.toolUsage()
			}
			what = o
		}
	}
	if what.letter == 0 || len(rest) > 0 {
		return c.toolUsage()
	}
	if what.letter == 'p' || what.letter == 'j' {
		if !c.serving {
			fmt.Fprintln(c.stderr, "postqueue: warning: Mail system is down -- accessing queue directly")
		}
		if what.letter == 'j' {
			return c.showJSON(ctx)
		}
		return c.showQueue(ctx)
	}
	m, err := flushed(what)
	if err != nil {
		return err
	}
	if !c.serving {
		return fatalError{69, "Cannot flush mail queue - mail system is down"}
	}
	_, err = c.server.Queue().Retry(ctx, m)
	return err
}

// flushed is what an option has tried now.
func flushed(o option) (queue.Match, error) {
	switch {
	case o.letter == 'f':
		return queue.Match{All: true}, nil
	case o.letter == 'i' && validQueueID(o.value):
		return queue.Match{IDs: []string{o.value}}, nil
	case o.letter == 'i':
		return queue.Match{}, fatalError{69, fmt.Sprintf("Cannot flush queue ID - invalid name: %q", o.value)}
	case o.value == "" || strings.ContainsAny(o.value, " @[]"):
		return queue.Match{}, fatalError{69, fmt.Sprintf("Cannot flush mail queue - invalid destination: %q", o.value)}
	}
	return queue.Match{Domain: o.value}, nil
}
