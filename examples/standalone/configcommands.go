package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/BurntSushi/toml"
)

func configCommands() []command {
	return []command{
		{name: "config check", short: "check the configuration file and what it names", here: configCheck},
		{name: "config show", args: "[--changed]", short: "the settings in force, as a configuration file", here: configShow},
	}
}

func configShow(_ context.Context, a *app, args []string) error {
	changed := slices.Contains(args, "--changed") || slices.Contains(args, "-changed")
	if len(args) > 1 || len(args) == 1 && !changed {
		return usagef("usage: panelmail config show [--changed]")
	}
	if !changed && !a.json {
		return toml.NewEncoder(a.stdout).Encode(a.settings)
	}
	now, before := flatten(a.settings), flatten(defaults())
	out := map[string]any{}
	for key, value := range now {
		if !changed || !reflect.DeepEqual(value, before[key]) {
			out[key] = value
		}
	}
	if a.json {
		return json.NewEncoder(a.stdout).Encode(out)
	}
	for _, key := range slices.Sorted(maps.Keys(out)) {
		fmt.Fprintf(a.stdout, "%s = %v\n", key, quoted(out[key]))
	}
	return nil
}

func quoted(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

// flatten is the settings by their names with the table in front.
func flatten(s settings) map[string]any {
	var text strings.Builder
	flat, tree := map[string]any{}, map[string]any{}
	if err := toml.NewEncoder(&text).Encode(s); err != nil {
		return flat
	}
	if _, err := toml.Decode(text.String(), &tree); err != nil {
		return flat
	}
	flattenInto(flat, "", tree)
	return flat
}

func flattenInto(flat map[string]any, prefix string, tree map[string]any) {
	for name, value := range tree {
		if sub, ok := value.(map[string]any); ok {
			flattenInto(flat, prefix+name+".", sub)
			continue
		}
		flat[prefix+name] = value
	}
}

func help(_ context.Context, a *app, args []string) error {
	if len(args) == 1 && args[0] == "json" {
		_, err := fmt.Fprint(a.stdout, jsonHelp)
		return err
	}
	name := strings.Join(args, " ")
	var lines strings.Builder
	for _, c := range commands() {
		switch {
		case name == "":
			fmt.Fprintf(&lines, "  %s \t%s\n", c.name, c.short)
		case strings.HasPrefix(c.name, name):
			fmt.Fprintf(&lines, "  %s\n      %s\n", strings.TrimSpace(c.name+" "+c.args), c.short)
		}
	}
	if lines.Len() == 0 {
		return usagef("unknown command %q", name)
	}
	if name == "" {
		fmt.Fprintf(&lines, "\npanelmail help COMMAND tells the arguments of a command, or of a group of them.\n")
	}
	w := tabwriter.NewWriter(a.stdout, 0, 8, 1, ' ', 0)
	fmt.Fprintf(w, "usage: panelmail [--data DIR] [--config FILE] [--json] COMMAND …\n%s", lines.String())
	return w.Flush()
}
