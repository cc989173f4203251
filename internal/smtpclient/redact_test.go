package smtpclient

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
)

func TestASecretIsMaskedInEveryFormAndInPieces(t *testing.T) {
	const password = "s3cr3t-c4n4ry-pa55"
	blob := base64.StdEncoding.EncodeToString([]byte("\x00user\x00" + password))
	long := strings.Repeat("abcdefghij0123456789", 100) + "XYZ"
	for _, row := range []struct{ what, secret, text, want string }{
		{"as it is", password, "wrong: " + password + "!", "wrong: ***!"},
		{"in another case", password, "wrong: " + strings.ToUpper(password), "wrong: ***"},
		{"twice", password, password + password + " and " + password, "*** and ***"},
		{"overlapping itself", "abab", "xabababx", "x***x"},
		{"in base64", password, base64.StdEncoding.EncodeToString([]byte(password)), "***"},
		{"in base64 without padding", password, base64.RawURLEncoding.EncodeToString([]byte(password)), "***"},
		{"in hexadecimal", password, "<" + strings.ToUpper(hex.EncodeToString([]byte(password))) + ">", "<***>"},
		{"its end", password, "..." + password[6:], "...***"},
		{"its beginning", password, password[:9] + "...", "***..."},
		{"less than a piece", password, "a c4n4ry sang", "a c4n4ry sang"},
		{"a piece of what is long", long, "at " + long[1001:1020] + " it", "at *** it"},
		{"a short one", "pw", "the pw is pw", "the *** is ***"},
		{"none", " ", "a b", "a b"},
		{"beside text of another alphabet", password, "naïve: " + password + " ñ", "naïve: *** ñ"},
	} {
		var r redactor
		r.add(row.secret)
		if got := r.mask(row.text); got != row.want {
			t.Errorf("%s: %q, want %q", row.what, got, row.want)
		}
	}
	for cut := 12; cut < len(blob); cut++ {
		var r redactor
		r.add(password)
		r.form(blob)
		for _, piece := range []string{blob[:cut], blob[len(blob)-cut:]} {
			if got := r.mask("AUTH PLAIN " + piece); got != "AUTH PLAIN ***" {
				t.Errorf("%d octets: %q", cut, got)
			}
		}
	}
	if got := new(redactor).mask("nothing to hide"); got != "nothing to hide" {
		t.Errorf("%q", got)
	}
}
