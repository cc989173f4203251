package dkim_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/panelmail/panelmail/dkim"
)

func Example() {
	key, err := dkim.GenerateKey("example.com", "s2026", dkim.Ed25519)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("publish at", key.RecordName())

	signer := &dkim.Signer{Keys: dkim.KeyStoreFunc(func(_ context.Context, domain string) ([]dkim.Key, error) {
		if domain != "example.com" {
			return nil, nil // not signed
		}
		return []dkim.Key{key}, nil
	})}
	message := "From: ann@example.com\r\nSubject: Lunch\r\n\r\nAt one?\r\n"
	fields, err := signer.Sign(context.Background(), "example.com", strings.NewReader(message))
	if err != nil {
		fmt.Println(err)
		return
	}
	found, err := dkim.Verify(context.Background(), records{key.RecordName(): key.Record()}, strings.NewReader(fields+message))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, v := range found {
		fmt.Println(v.Result, v.Domain)
	}
	// Output:
	// publish at s2026._domainkey.example.com
	// pass example.com
}

// records is a DNS for the example; a program has a net.Resolver.
type records map[string]string

func (r records) LookupTXT(_ context.Context, name string) ([]string, error) {
	return []string{r[name]}, nil
}

func ExampleKey_CheckRecord() {
	key, err := dkim.GenerateKey("example.com", "s2026", dkim.RSA2048)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(key.CheckRecord([]string{key.Record()[:255]}))
	// Output:
	// verifiers cannot use the record: the public key is cut off after 237 of 392 characters
}
