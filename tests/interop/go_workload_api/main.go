// A Workload API that others wrote: the test server of go-spiffe (Debian's golang-github-spiffe-go-spiffe-dev), which is
// internal to that library, so that this is compiled within a copy of it.
//
// workload_api TRUST-DOMAIN SPIFFE-ID prints its address and serves an X.509-SVID of this ID, and the bundle, until its
// input ends. On its input: `withdraw` takes the SVID back, `give SPIFFE-ID` gives another, `replace` begins anew with
// another authority.
package main

import (
	"bufio"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/spiffe/go-spiffe/v2/bundle/jwtbundle"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/internal/test"
	"github.com/spiffe/go-spiffe/v2/internal/test/fakeworkloadapi"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

// What their functions want of a test: to be told of faults.
type told struct{ testing.TB }

func (told) Helper()                           {}
func (told) Logf(string, ...any)               {}
func (told) Errorf(format string, args ...any) { fail(fmt.Errorf(format, args...)) }
func (told) FailNow()                          { os.Exit(1) }

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

type authority struct {
	domain      spiffeid.TrustDomain
	certificate *x509.Certificate
	key         crypto.Signer
	tokens      *jwtbundle.Bundle
}

// X.509-SVID, section 4.3: a signing certificate may sign certificates; theirs would say nothing of it.
func newAuthority(domain spiffeid.TrustDomain) authority {
	name, err := url.Parse(domain.IDString())
	if err != nil {
		fail(err)
	}
	certificate, key := test.CreateCACertificate(
		told{}, nil, nil, test.WithKeyUsage(x509.KeyUsageCertSign), test.WithURIs(name),
		test.WithSubject(pkix.Name{CommonName: domain.Name()}),
	)
	tokens := map[string]crypto.PublicKey{test.NewKeyID(told{}): test.NewEC256Key(told{}).Public()}
	return authority{domain, certificate, key, jwtbundle.FromJWTAuthorities(domain, tokens)}
}

func (a authority) bundle() *x509bundle.Bundle {
	return x509bundle.FromX509Authorities(a.domain, []*x509.Certificate{a.certificate})
}

func (a authority) response(name string) *fakeworkloadapi.X509SVIDResponse {
	id, err := spiffeid.FromString(name)
	if err != nil {
		fail(err)
	}
	certificate, key := test.CreateX509SVID(told{}, a.certificate, a.key, id)
	svid := &x509svid.SVID{ID: id, Certificates: []*x509.Certificate{certificate}, PrivateKey: key}
	return &fakeworkloadapi.X509SVIDResponse{SVIDs: []*x509svid.SVID{svid}, Bundle: a.bundle()}
}

func main() {
	domain, err := spiffeid.TrustDomainFromString(os.Args[1])
	if err != nil {
		fail(err)
	}
	name := os.Args[2]
	issuing := newAuthority(domain)
	api := fakeworkloadapi.New(told{})
	defer api.Stop()
	serve := func() {
		api.SetX509Bundles(issuing.bundle())
		api.SetJWTBundles(issuing.tokens)
		api.SetX509SVIDResponse(issuing.response(name))
	}
	serve()
	fmt.Println(api.Addr())
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		switch words := strings.Fields(lines.Text()); words[0] {
		case "withdraw":
			api.SetX509SVIDResponse(nil)
		case "give":
			api.SetX509SVIDResponse(issuing.response(words[1]))
		case "replace":
			issuing = newAuthority(domain)
			serve()
		}
		fmt.Println("done")
	}
}
