// Reads one case a line and answers each with a line: the simulator's result, or what went wrong.
//
// The engine is taken by its file, since the package's own entrances look policies up in a database of AWS's actions (which takes
// a hundred times as long) or leave session policies out.
import { createInterface } from 'node:readline'
import { loadPolicy } from '@cloud-copilot/iam-policy'

const from = (path) => import(new URL(`./node_modules/@cloud-copilot/iam-simulate/dist/esm/${path}`, import.meta.url).href)
const { authorize } = await from('core_engine/CoreSimulatorEngine.js')
const { AwsRequestImpl } = await from('request/request.js')
const { RequestContextImpl } = await from('requestContext.js')
const { DiscoveryContextKeyConstraints } = await from('context_keys/discoveryContextKeyConstraints.js')

const load = (document) => (document ? loadPolicy(document, { name: 'policy' }) : undefined)

function simulate(c) {
  const request = new AwsRequestImpl(c.principal, { resource: c.resource, accountId: c.account }, c.action, new RequestContextImpl(c.context))
  return authorize({
    request,
    identityPolicies: c.identity.map(load),
    sessionPolicy: load(c.session),
    permissionBoundaries: c.boundary ? [load(c.boundary)] : undefined,
    resourcePolicy: load(c.resourcePolicy),
    serviceControlPolicies: [],
    resourceControlPolicies: [],
    vpcEndpointPolicies: undefined,
    simulationParameters: { simulationMode: 'Strict', discoveryContextKeyConstraints: new DiscoveryContextKeyConstraints([]) },
    serviceSettings: {}
  }).result
}

let out = []
for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  try {
    out.push(simulate(JSON.parse(line)))
  } catch (e) {
    out.push(`failed: ${String(e).replaceAll('\n', ' ')}`)
  }
  if (out.length >= 500) {
    if (!process.stdout.write(out.join('\n') + '\n')) await new Promise((resolve) => process.stdout.once('drain', resolve))
    out = []
  }
}
if (out.length > 0) process.stdout.write(out.join('\n') + '\n')
