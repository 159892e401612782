"""The main job, live: real devices and a real phone user against the backend, every reading counted.

Everything here goes through public doors: boto3 and pycognito for what an operator and a phone do, awsiotsdk for the
devices, HTTP for the API. The table is read beside them only to prove that nothing was lost on the way.
"""
