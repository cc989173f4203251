package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/panelmail/panelmail/mailcore"
)

// restrictionSettings are the lists of [mailcore.Restrictions]. Tables are the files of
// access tables by their names; a relative one is beside the configuration file.
type restrictionSettings struct {
	Client    wordList          `toml:"client"`
	Helo      wordList          `toml:"helo"`
	Sender    wordList          `toml:"sender"`
	Relay     wordList          `toml:"relay"`
	Recipient wordList          `toml:"recipient"`
	Data      wordList          `toml:"data"`
	Tables    map[string]string `toml:"tables,omitempty"`
}

// A wordList is one string or a list of strings in the file.
type wordList string

// UnmarshalTOML implements toml.Unmarshaler.
func (l *wordList) UnmarshalTOML(value any) error {
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	var words []string
	for _, v := range list {
		text, ok := v.(string)
		if !ok {
			return fmt.Errorf("%v is no restriction: want a string or a list of strings", v)
		}
		words = append(words, text)
	}
	*l = wordList(strings.Join(words, ", "))
	return nil
}

// maxTableFile is how much of a table's file is read: one octet more than a table has.
const maxTableFile = 8<<20 + 1

// restrictions are the lists with the texts of their tables.
func (a *app) restrictions() (r mailcore.Restrictions, problems []problem) {
	s := a.settings.Restrictions
	r = mailcore.Restrictions{
		Client: string(s.Client), Helo: string(s.Helo), Sender: string(s.Sender),
		Relay: string(s.Relay), Recipient: string(s.Recipient), Data: string(s.Data),
		Tables: map[string]string{},
	}
	for _, name := range slices.Sorted(maps.Keys(s.Tables)) {
		text, err := readTable(a.besideConfig(s.Tables[name]))
		if err != nil {
			problems = append(problems, problem{"restrictions.tables." + name, err})
		}
		r.Tables[name] = text
	}
	if len(problems) > 0 {
		return r, problems // the lists would miss them
	}
	if err := checked(mailcore.Config{Hostname: "host.example", Restrictions: r}); err != nil {
		problems = append(problems, problem{s.keyOf(err.Error()), err})
	}
	return r, problems
}

func readTable(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxTableFile))
	return string(text), err
}

// besideConfig is a path of the configuration file, as seen from here.
func (a *app) besideConfig(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(a.configFile()), path)
}

// keyOf finds the key that an error is about by the names in its text.
func (s restrictionSettings) keyOf(text string) string {
	for _, name := range slices.Sorted(maps.Keys(s.Tables)) {
		if strings.Contains(text, "table "+name+",") || strings.Contains(text, "table "+name+":") {
			return "restrictions.tables." + name
		}
	}
	for _, list := range []string{"client", "helo", "sender", "relay", "recipient", "data"} {
		if strings.Contains(text, list+" list") {
			return "restrictions." + list
		}
	}
	return "restrictions"
}

// relayTest has a server with a configuration, but without any domain, try to relay
// through itself.
func relayTest(ctx context.Context, config mailcore.Config) (err error) {
	dir, err := os.MkdirTemp("", "panelmail")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	config.Maildrop = ""
	srv, err := mailcore.Open(ctx, filepath.Join(dir, "mail.db"), config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.Close()) }()
	found, err := srv.OpenRelays(ctx)
	if err == nil && len(found) > 0 {
		err = fmt.Errorf("this would be an open relay:\n%s", strings.Join(found, "\n"))
	}
	return err
}
