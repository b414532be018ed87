// An OpenID provider that others wrote and had certified: the npm package `oidc-provider`, which signs and serves; what
// the next token says of its workload is told on standard input.
//
// node oidc_provider.mjs LIBRARY PATH ALGORITHM prints its issuer. A line in is {"claims": {…}, "header": {…}} for the
// next tokens (null takes a claim out), or {"rotate": true} for a new signing key beside the old ones, or
// {"withdraw": true} to serve the newest alone; a line out says that it is so.
import * as crypto from 'node:crypto';
import * as http from 'node:http';
import * as readline from 'node:readline';

const [, , library, prefix, algorithm] = process.argv;
// Its remarks are not for who reads our lines.
console.info = console.warn = console.error;
const { default: Provider } = await import(library);

// Discovery, section 4: what follows the issuer's path follows it without the slash that may end it.
const below = prefix.replace(/\/$/, '');
let keys = [];
let said = {};
let serve;

function addKey() {
  const kind = algorithm.startsWith('ES') ? ['ec', { namedCurve: 'P-256' }] : ['rsa', { modulusLength: 2048 }];
  const jwk = crypto.generateKeyPairSync(...kind).privateKey.export({ format: 'jwk' });
  keys = [{ ...jwk, use: 'sig', alg: algorithm, kid: crypto.randomUUID() }, ...keys];
}

function open(issuer) {
  const provider = new Provider(issuer, {
    jwks: { keys },
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
          jwt: { sign: { alg: algorithm, kid: keys[0].kid } },
        }),
      },
    },
    formats: {
      customizers: {
        jwt(_, token, jwt) {
          Object.assign(jwt.payload, said.claims);
          for (const [name, value] of Object.entries(jwt.payload)) {
            if (value === null) delete jwt.payload[name];
          }
          const header = Object.entries(said.header ?? {});
          jwt.header = Object.fromEntries(header.map(([name, value]) => [name, value ?? undefined]));
        },
      },
    },
  });
  serve = provider.callback();
}

const server = http.createServer((request, response) => {
  // As under a prefix of any other server: the library reads the whole path from here.
  request.originalUrl = request.url;
  if (request.url.startsWith(below)) request.url = request.url.slice(below.length) || '/';
  serve(request, response);
});
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}${prefix}`;
  addKey();
  open(issuer);
  console.log(issuer);
  const lines = readline.createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    const told = JSON.parse(line);
    if (told.rotate) addKey();
    if (told.withdraw) keys = keys.slice(0, 1);
    if (told.rotate || told.withdraw) open(issuer);
    else said = told;
    console.log('done');
  });
  lines.on('close', () => process.exit(0));
});
