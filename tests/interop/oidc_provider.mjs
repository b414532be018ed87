// OpenID providers that others wrote and had certified: the npm package `oidc-provider`, which signs and serves; what
// the next token of one says of its workload is told on standard input.
//
// node oidc_provider.mjs LIBRARY reads lines. {"open": PATH, "algorithm": NAME} makes a provider with a key of its own,
// and prints its issuer. For the one that "to" names, {"claims": {…}, "header": {…}} is for the next tokens (null takes a
// claim out), {"rotate": true} for a new signing key beside the old ones, {"withdraw": true} to serve the newest alone,
// {"close": true} to serve nothing; a line out says that it is so.
import * as crypto from 'node:crypto';
import * as http from 'node:http';
import * as readline from 'node:readline';

const [, , library] = process.argv;
// Its remarks are not for who reads our lines.
console.info = console.warn = console.error;
const { default: Provider } = await import(library);

const providers = new Map();

class OneProvider {
  keys = [];
  said = {};

  constructor(prefix, algorithm) {
    // Discovery, section 4: what follows the issuer's path follows it without the slash that may end it.
    const below = prefix.replace(/\/$/, '');
    this.prefix = prefix;
    this.algorithm = algorithm;
    this.server = http.createServer((request, response) => {
      // As under a prefix of any other server: the library reads the whole path from here.
      request.originalUrl = request.url;
      if (request.url.startsWith(below)) request.url = request.url.slice(below.length) || '/';
      this.serve(request, response);
    });
  }

  listen() {
    this.server.listen(0, '127.0.0.1', () => {
      this.issuer = `http://127.0.0.1:${this.server.address().port}${this.prefix}`;
      this.addKey();
      this.open();
      providers.set(this.issuer, this);
      console.log(this.issuer);
    });
  }

  tell(told) {
    if (told.rotate) this.addKey();
    if (told.withdraw) this.keys = this.keys.slice(0, 1);
    if (told.close) {
      this.server.close();
      this.server.closeAllConnections();
      providers.delete(this.issuer);
    } else if (told.rotate || told.withdraw) this.open();
    else this.said = told;
    console.log('done');
  }

  addKey() {
    const isCurve = this.algorithm.startsWith('ES');
    const kind = isCurve ? ['ec', { namedCurve: 'P-256' }] : ['rsa', { modulusLength: 2048 }];
    const jwk = crypto.generateKeyPairSync(...kind).privateKey.export({ format: 'jwk' });
    this.keys = [{ ...jwk, use: 'sig', alg: this.algorithm, kid: crypto.randomUUID() }, ...this.keys];
  }

  open() {
    const { algorithm } = this;
    const provider = new Provider(this.issuer, {
      jwks: { keys: this.keys },
      clients: [{
        client_id: 'workload', client_secret: 'not-a-secret', grant_types: ['client_credentials'],
        redirect_uris: [], response_types: [],
      }],
      enabledJWA: { idTokenSigningAlgValues: [algorithm] },
      clientDefaults: { id_token_signed_response_alg: algorithm },
      features: {
        devInteractions: { enabled: false },
        clientCredentials: { enabled: true },
        resourceIndicators: {
          enabled: true,
          getResourceServerInfo: (_, audience) => ({
            scope: '', audience, accessTokenTTL: 600, accessTokenFormat: 'jwt',
            jwt: { sign: { alg: algorithm, kid: this.keys[0].kid } },
          }),
        },
      },
      formats: { customizers: { jwt: (_, token, jwt) => this.customize(jwt) } },
    });
    this.serve = provider.callback();
  }

  customize(jwt) {
    Object.assign(jwt.payload, this.said.claims);
    for (const [name, value] of Object.entries(jwt.payload)) {
      if (value === null) delete jwt.payload[name];
    }
    const header = Object.entries(this.said.header ?? {});
    jwt.header = Object.fromEntries(header.map(([name, value]) => [name, value ?? undefined]));
  }
}

const lines = readline.createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const told = JSON.parse(line);
  if ('open' in told) new OneProvider(told.open, told.algorithm).listen();
  else providers.get(told.to).tell(told);
});
lines.on('close', () => process.exit(0));
