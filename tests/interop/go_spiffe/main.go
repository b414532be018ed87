// A workload written with go-spiffe (Debian's golang-github-spiffe-go-spiffe-dev): it says what it got, as JSON lines.
//
// fetch AUDIENCE · watch until its input ends; there `token AUDIENCE` fetches a JWT-SVID and `check` has the last one
// judged by the bundle that is held · listen and connect with mutual TLS, the peer's ID (and port) on its input · bench SECONDS CALLERS AUDIENCE counts FetchJWTSVID. The socket is in SPIFFE_ENDPOINT_SOCKET.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/jwtbundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

const (
	timeLimit  = 40 * time.Second
	watchLimit = 10 * time.Minute
)

type told map[string]any

var saying sync.Mutex

func say(what told) {
	saying.Lock()
	defer saying.Unlock()
	line, err := json.Marshal(what)
	must(err)
	fmt.Println(string(line))
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	limit := timeLimit
	if os.Args[1] == "watch" {
		limit = watchLimit
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	switch os.Args[1] {
	case "fetch":
		fetch(ctx, os.Args[2])
	case "watch":
		watch(ctx)
	case "listen", "connect":
		meet(ctx, os.Args[1] == "listen")
	case "bench":
		seconds, err := strconv.Atoi(os.Args[2])
		must(err)
		callers, err := strconv.Atoi(os.Args[3])
		must(err)
		bench(ctx, seconds, callers, os.Args[4])
	default:
		must(fmt.Errorf("no verb %q", os.Args[1]))
	}
}

func fetch(ctx context.Context, audience string) {
	client, err := workloadapi.New(ctx)
	must(err)
	defer client.Close()
	x509, err := client.FetchX509Context(ctx)
	must(err)
	bundles, err := client.FetchX509Bundles(ctx)
	must(err)
	tokens, err := client.FetchJWTSVIDs(ctx, jwtsvid.Params{Audience: audience})
	must(err)
	jwts, err := client.FetchJWTBundles(ctx)
	must(err)
	checked, err := jwtsvid.ParseAndValidate(tokens[0].Marshal(), jwts, []string{audience})
	must(err)
	validated, err := client.ValidateJWTSVID(ctx, tokens[0].Marshal(), audience)
	must(err)
	ids, hints, jwtIDs := []string{}, []string{}, []string{}
	for _, svid := range x509.SVIDs {
		ids, hints = append(ids, svid.ID.String()), append(hints, svid.Hint)
	}
	for _, token := range tokens {
		jwtIDs = append(jwtIDs, token.ID.String())
	}
	x509Domains, jwtDomains := []string{}, []string{}
	for _, bundle := range bundles.Bundles() {
		x509Domains = append(x509Domains, bundle.TrustDomain().Name())
	}
	for _, bundle := range jwts.Bundles() {
		jwtDomains = append(jwtDomains, bundle.TrustDomain().Name())
	}
	sort.Strings(x509Domains)
	sort.Strings(jwtDomains)
	say(told{"ids": ids, "hints": hints, "jwt_ids": jwtIDs, "x509_bundles": x509Domains, "jwt_bundles": jwtDomains,
		"checked": checked.ID.String(), "validated": validated.ID.String()})
}

type watcher struct {
	mutex *sync.Mutex
	held  *jwtbundle.Set
}

func (*watcher) OnX509ContextUpdate(got *workloadapi.X509Context) {
	svid := got.DefaultSVID()
	authorities, domains, roots := 0, []string{}, []string{}
	for _, bundle := range got.Bundles.Bundles() {
		domains = append(domains, bundle.TrustDomain().Name())
		if bundle.TrustDomain() == svid.ID.TrustDomain() {
			authorities = len(bundle.X509Authorities())
			for _, root := range bundle.X509Authorities() {
				roots = append(roots, inPEM(root.Raw))
			}
		}
	}
	sort.Strings(domains)
	// The library's own verification, by the bundle that came with it.
	_, _, err := x509svid.Verify(svid.Certificates, got.Bundles)
	must(err)
	say(told{"event": "x509", "id": svid.ID.String(), "serial": svid.Certificates[0].SerialNumber.String(),
		"authorities": authorities, "bundles": domains, "leaf": inPEM(svid.Certificates[0].Raw), "roots": roots})
}

func inPEM(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func (*watcher) OnX509ContextWatchError(err error) { say(told{"event": "error", "error": err.Error()}) }

func (w *watcher) OnJWTBundlesUpdate(got *jwtbundle.Set) {
	w.mutex.Lock()
	w.held = got
	w.mutex.Unlock()
	kids := []string{}
	for _, bundle := range got.Bundles() {
		for kid := range bundle.JWTAuthorities() {
			kids = append(kids, kid)
		}
	}
	sort.Strings(kids)
	say(told{"event": "jwt", "kids": kids})
}

func (*watcher) OnJWTBundlesWatchError(err error) { say(told{"event": "error", "error": err.Error()}) }

func watch(ctx context.Context) {
	client, err := workloadapi.New(ctx)
	must(err)
	defer client.Close()
	ctx, cancel := context.WithCancel(ctx)
	watching := &watcher{mutex: &sync.Mutex{}}
	go func() { _ = client.WatchX509Context(ctx, watching) }()
	go func() { _ = client.WatchJWTBundles(ctx, watching) }()
	last, audience := "", ""
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		verb, rest, _ := strings.Cut(input.Text(), " ")
		switch verb {
		case "token":
			token, err := client.FetchJWTSVID(ctx, jwtsvid.Params{Audience: rest})
			if err != nil {
				say(told{"event": "token", "id": "", "text": "", "error": err.Error()})
				continue
			}
			last, audience = token.Marshal(), rest
			say(told{"event": "token", "id": token.ID.String(), "text": last, "error": ""})
		case "check":
			watching.mutex.Lock()
			_, err := jwtsvid.ParseAndValidate(last, watching.held, []string{audience})
			watching.mutex.Unlock()
			fault := ""
			if err != nil {
				fault = err.Error()
			}
			say(told{"event": "check", "fault": fault})
		}
	}
	cancel()
}

func meet(ctx context.Context, listens bool) {
	source, err := workloadapi.NewX509Source(ctx)
	must(err)
	defer source.Close()
	svid, err := source.GetX509SVID()
	must(err)
	say(told{"event": "ready", "id": svid.ID.String()})
	input := bufio.NewReader(os.Stdin)
	line, err := input.ReadString('\n')
	must(err)
	peer, err := spiffeid.FromString(strings.TrimSpace(line))
	must(err)
	if listens {
		listener, err := tls.Listen("tcp", "127.0.0.1:0",
			tlsconfig.MTLSServerConfig(source, source, tlsconfig.AuthorizeID(peer)))
		must(err)
		say(told{"event": "listening", "port": listener.Addr().(*net.TCPAddr).Port})
		connected, err := listener.Accept()
		must(err)
		exchange(connected.(*tls.Conn), peer, true)
		return
	}
	port, err := input.ReadString('\n')
	must(err)
	connected, err := tls.Dial("tcp", "127.0.0.1:"+strings.TrimSpace(port),
		tlsconfig.MTLSClientConfig(source, source, tlsconfig.AuthorizeID(peer)))
	must(err)
	exchange(connected, peer, false)
}

func exchange(connected *tls.Conn, peer spiffeid.ID, listens bool) {
	must(connected.SetDeadline(time.Now().Add(20 * time.Second)))
	must(connected.Handshake())
	say(told{"event": "peer", "id": peer.String()})
	buffer := make([]byte, 100)
	if listens {
		size, err := connected.Read(buffer)
		must(err)
		_, err = connected.Write(buffer[:size])
		must(err)
		must(connected.Close())
		return
	}
	_, err := connected.Write([]byte("well met"))
	must(err)
	size, err := connected.Read(buffer)
	must(err)
	say(told{"event": "echo", "text": string(buffer[:size])})
}

func bench(ctx context.Context, seconds, callers int, audience string) {
	client, err := workloadapi.New(ctx)
	must(err)
	defer client.Close()
	var calls atomic.Int64
	end := time.Now().Add(time.Duration(seconds) * time.Second)
	var all sync.WaitGroup
	for range callers {
		all.Add(1)
		go func() {
			defer all.Done()
			for time.Now().Before(end) {
				_, err := client.FetchJWTSVID(ctx, jwtsvid.Params{Audience: audience})
				must(err)
				calls.Add(1)
			}
		}()
	}
	all.Wait()
	say(told{"per_second": float64(calls.Load()) / float64(seconds)})
}
