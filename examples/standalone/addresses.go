package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// addresses are where to listen: a string or a list of strings in the file. None, or
// the empty string, is nowhere.
type addresses []string

// UnmarshalTOML implements toml.Unmarshaler.
func (a *addresses) UnmarshalTOML(value any) error {
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	*a = nil
	for _, v := range list {
		text, ok := v.(string)
		if !ok {
			return fmt.Errorf("%v is no address: want a string or a list of strings", v)
		}
		if text != "" {
			*a = append(*a, text)
		}
	}
	return nil
}

// MarshalTOML implements toml.Marshaler.
func (a addresses) MarshalTOML() ([]byte, error) {
	if len(a) > 1 {
		return json.Marshal([]string(a)) // for addresses TOML is the same
	}
	return json.Marshal(strings.Join(a, ""))
}

// check reports what is wrong with addresses.
func (a addresses) check() error {
	var problems []error
	seen := map[string]bool{}
	for _, text := range a {
		if _, _, err := net.SplitHostPort(text); err != nil {
			problems = append(problems, err)
		}
		if seen[text] {
			problems = append(problems, fmt.Errorf("%s is named twice", text))
		}
		seen[text] = true
	}
	return errors.Join(problems...)
}

// here is an address at which this machine reaches the first of them; "" if there
// is none.
func (a addresses) here() string {
	if len(a) == 0 {
		return ""
	}
	host, port, err := net.SplitHostPort(a[0])
	if err != nil {
		return a[0]
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}
