// Together's official client, which has no field for the user: a header names them.

import Together from 'together-ai'
import { BROKE_KEY, KEY, URL, USER, openaiScenarios, report } from './scenarios.mjs'

const client = (apiKey) =>
  new Together({ baseURL: `${URL}/v1`, apiKey, defaultHeaders: { 'X-Paywall-User': USER } })

await report(openaiScenarios(client(KEY), client(BROKE_KEY), {}))
