package transport

import (
	"container/list"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestACredentialNeverPrintsItsPassword(t *testing.T) {
	const password = "c4nary-passw0rd"
	c := Credential{User: "me", Password: password}
	plan := Plan{Transport: "smtp", Nexthop: "[h]:587", TLS: TLSEncrypt, Credential: c}
	key := sessionKey{host: "h", credential: c.conceal()}
	kept := &pool{byKey: map[sessionKey][]*list.Element{key: nil}}
	leaks := []string{password, hex.EncodeToString([]byte(password)), fmt.Sprintf("% x", password), fmt.Sprint([]byte(password))}
	for _, value := range []any{
		c, &c, []Credential{c}, map[string]Credential{"k": c}, struct{ C Credential }{c}, [1]*Credential{&c},
		plan, &plan, []Plan{plan}, Delivery{Plan: plan}, &Delivery{Plan: plan},
		plan.terms(), groupKey{terms: plan.terms()}, key, session{key: key}, kept, &SMTP{}, Planner{},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%d", "%s", "%q", "%x", "% x", "%X", "%#x", "%t", "%e", "%c", "%U", "%o", "%z"} {
			for _, leak := range leaks {
				if got := fmt.Sprintf(verb, value); strings.Contains(strings.ToLower(got), strings.ToLower(leak)) {
					t.Errorf("%s of %T: %s", verb, value, got)
				}
			}
		}
		if text, err := json.Marshal(value); err == nil && strings.Contains(string(text), password) {
			t.Errorf("JSON of %T: %s", value, text)
		}
	}
	for _, verb := range []string{"%v", "%s", "%d", "%#v"} {
		if got := fmt.Sprintf(verb, c); got != "me:***" {
			t.Errorf("%s: %s", verb, got)
		}
	}
	if got := fmt.Sprintf("%+v", plan); !strings.Contains(got, "Credential:me:***") {
		t.Errorf("%s does not name the user", got)
	}
}

func TestEqualCredentialsAreEqualTerms(t *testing.T) {
	a, b := Plan{Credential: Credential{User: "u", Password: "p"}}, Plan{Credential: Credential{User: "u", Password: strings.Repeat("p", 1)}}
	if a.terms() != b.terms() {
		t.Error("equal plans differ")
	}
	for _, other := range []Plan{{}, {Credential: Credential{User: "u", Password: "q"}}, {Credential: Credential{User: "u", Password: "p"}, Direct: true}, {Credential: Credential{User: "u", Password: "p", OAuth: true}}} {
		if a.terms() == other.terms() {
			t.Errorf("%+v: other plans are equal", other)
		}
	}
}
