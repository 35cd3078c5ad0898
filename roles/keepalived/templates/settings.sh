# Made by marg; changes here are lost.
API={{ api }}
ADDRESS={{ address }}
DROPLET={{ droplet }}
FELLOWS={{ fellows }}
WEB={{ web }}
