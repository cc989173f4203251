package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/panelmail/panelmail/dnstmpl"
)

// A conversion is the answer of template convert.
type conversion struct {
	File   string           `json:"file"`
	Panel  dnstmpl.Panel    `json:"panel"`
	Text   string           `json:"text"`
	Report dnstmpl.Problems `json:"report,omitempty"` // what is not in it
}

// templateConvert needs no server: the template goes to standard output, for a
// person to look at and for template set, and what is lost to standard error.
func templateConvert(_ context.Context, a *app, args []string) error {
	cmd, _, err := find([]string{"template", "convert"})
	if err != nil {
		return err
	}
	words, err := (&call{command: cmd, args: args}).parse(2, 2, nil)
	if err != nil {
		return err
	}
	text, err := readFile(a.stdin, words[1], maxTemplateFile)
	if err != nil {
		return err
	}
	c := conversion{File: words[1], Panel: dnstmpl.Panel(words[0])}
	if c.Text, c.Report, err = dnstmpl.Import(c.Panel, c.File, string(text)); err != nil {
		return err
	}
	if a.json {
		return json.NewEncoder(a.stdout).Encode(c)
	}
	for _, p := range c.Report {
		fmt.Fprintf(a.stderr, "warning: %s\n", printable(p.Error()))
	}
	_, err = io.WriteString(a.stdout, c.Text)
	return err
}
