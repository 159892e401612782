"""The message broker of AWS IoT Core: MQTT 3.1.1 and MQTT 5 as AWS speaks them, AWS's deviations included.

`gateway.Gateway` is the face (it carries out `ports.Broker`); doors hand it connections. It knows neither rules nor
shadows: it calls the taps and reserved services it is given.
"""
