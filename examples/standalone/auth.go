package main

import (
	"errors"
	"path/filepath"
	"time"

	"github.com/panelmail/panelmail/mailcore"
)

// authSettings is the table auth: who may send, and as whom. A number of failures
// of 0 is no limit. See [mailcore.Guard].
type authSettings struct {
	Realm          string   `toml:"realm"`
	DovecotSocket  string   `toml:"dovecot_socket"` // instead of the logins kept here
	From           string   `toml:"from"`
	ShowLogin      bool     `toml:"show_login"`
	HideClient     bool     `toml:"hide_client"`
	ClientFailures int      `toml:"client_failures"`
	LoginFailures  int      `toml:"login_failures"`
	FailureWindow  duration `toml:"failure_window"`
	Checks         int      `toml:"checks"` // 0: by the number of processors
	ExemptNetworks []string `toml:"exempt_networks"`
}

func defaultAuth() authSettings {
	return authSettings{
		From:           string(mailcore.FromHosted),
		ClientFailures: 10,
		LoginFailures:  20,
		FailureWindow:  duration(15 * time.Minute),
		ExemptNetworks: []string{}, // shown as such
	}
}

// check finds what is wrong with the settings.
func (s authSettings) check(complain func(key string, err error)) {
	complain("auth.realm", checked(mailcore.Config{Hostname: "host.example", Realm: s.Realm}))
	complain("auth.from", checked(mailcore.Config{Hostname: "host.example", FromPolicy: mailcore.FromPolicy(s.From)}))
	if s.DovecotSocket != "" && !filepath.IsAbs(s.DovecotSocket) {
		complain("auth.dovecot_socket", errors.New("want an absolute path"))
	}
	complain("auth.client_failures", notNegative(s.ClientFailures))
	complain("auth.login_failures", notNegative(s.LoginFailures))
	complain("auth.failure_window", positive(s.FailureWindow))
	complain("auth.checks", notNegative(s.Checks))
	_, err := parseNetworks(s.ExemptNetworks)
	complain("auth.exempt_networks", err)
}

// apply writes the settings into the library's, after check.
func (s authSettings) apply(c *mailcore.Config) {
	exempt, _ := parseNetworks(s.ExemptNetworks) // check has complained
	c.Realm, c.FromPolicy = s.Realm, mailcore.FromPolicy(s.From)
	c.ShowLogin, c.HideClient = s.ShowLogin, s.HideClient
	c.Guard = mailcore.Guard{
		ClientFailures: orNone(s.ClientFailures),
		LoginFailures:  orNone(s.LoginFailures),
		Window:         time.Duration(s.FailureWindow),
		Checks:         s.Checks,
		Exempt:         exempt,
	}
	if s.DovecotSocket != "" {
		c.Authenticator = &mailcore.DovecotAuth{Socket: s.DovecotSocket}
	}
}
